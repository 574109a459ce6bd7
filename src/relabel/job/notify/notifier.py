"""Tells everyone whom the spec names how a run ended: once, side by side, in bounded time, whatever becomes of it.

Knows figures and ways; nothing of runs. A way that fails is said in the log and changes nothing else.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager

from relabel.errors import Refused, RelabelError
from relabel.job.notify.ways import Tell, settle
from relabel.spec import Notify

log = logging.getLogger("relabel")

MOST_SECONDS = 10.0
"""For all ways together."""
MOST_SECONDS_WHEN_STOPPED = 2.0
"""Whoever presses Ctrl-C waits for it."""


class Notifier:
    """Everyone who is told."""

    def __init__(self, ways: Sequence[Notify]) -> None:
        """Raises SpecError where a variable that a way names is not set, or its program is not there."""
        self._ways = [(f"notify[{at}]", settle(way, f"notify[{at}]")) for at, way in enumerate(ways)]
        self._is_told, self._until = threading.Lock(), 0.0
        self._threads: list[threading.Thread] = []

    def begin(self, figures: Mapping[str, object], seconds: float = MOST_SECONDS) -> None:
        """Begin to tell, and return; of several calls the first counts. What takes longer is given up."""
        if not self._is_told.acquire(blocking=False):
            return
        line = json.dumps(figures).encode() + b"\n"
        self._until = time.monotonic() + seconds
        for place, tell in self._ways:
            own = 0.9 * seconds  # who is given up is told so, and ended, before this process may end
            thread = threading.Thread(target=_tell, args=(place, tell, line, own), name=place, daemon=True)
            thread.start()
            self._threads.append(thread)

    def wait(self) -> None:
        """Until everyone is told, or the time is over."""
        for thread in self._threads:
            thread.join(max(0.0, self._until - time.monotonic()))
            if thread.is_alive():
                log.warning("%s of the spec was not told how the run ended: no answer in time", thread.name)

    def tell(self, figures: Mapping[str, object]) -> None:
        """Tell everyone, and wait for it."""
        self.begin(figures)
        self.wait()

    @contextmanager
    def watching(self, *, is_stopped_by_others: bool) -> Generator[None]:
        """Tell everyone where the block fails; also where it is stopped, unless others do that with their figures."""
        try:
            yield
        except RelabelError as error:
            self.tell(failed(str(error), refused=isinstance(error, Refused)))
            raise
        except Exception as error:  # the text of an error that nobody expected may quote a row
            self.tell(failed(type(error).__name__, refused=False))
            raise
        except BaseException:
            if not is_stopped_by_others:
                self.begin({"complete": False, "stopped": True}, MOST_SECONDS_WHEN_STOPPED)
                self.wait()
            raise


def failed(why: str, *, refused: bool) -> dict[str, object]:
    """The line of a run that ended with an error."""
    return {"complete": False, "failed": why, "exit_code": 2 if refused else 1}


def _tell(place: str, tell: Tell, line: bytes, seconds: float) -> None:
    if (why := tell(line, seconds)) is not None:
        log.warning("%s of the spec was not told how the run ended: %s", place, why)
