"""Ends the process when it hangs: a storage that never answers, a device that never finishes, a loop in C.

Python's own watchdog thread does it, which needs no interpreter lock; it writes to stderr where each thread was, and
the death is counted like any other.
"""

from __future__ import annotations

import faulthandler
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LOOKS = 4
"""Looks at the sign of life in each deadline."""
_STDERR = 2
_AT_ONCE = 0.001
"""Seconds; the alarm takes no 0."""


class Watchdog:
    """Gives each piece of work `seconds`; given a `sign`, so many since it last changed."""

    def __init__(self, seconds: float, sign: Callable[[], object] | None = None) -> None:
        self._seconds, self._sign = seconds, sign
        self._open: set[object] = set()
        self._closed = threading.Event()
        if sign is not None:
            threading.Thread(target=self._look, args=(sign,), daemon=True).start()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """As long as the block runs, beside others of other threads and of other watchdogs."""
        piece = object()
        with _ALARM.lock:
            self._open.add(piece)
            _ALARM.set(piece, self._seconds)
        try:
            yield
        finally:
            with _ALARM.lock:
                self._open.remove(piece)
                _ALARM.clear(piece)

    def close(self) -> None:
        """Look no more, and let go of what the sign of life is taken from: a whole engine, for example."""
        self._closed.set()

    def _look(self, sign: Callable[[], object]) -> None:
        seen = sign()
        while not self._closed.wait(self._seconds / LOOKS):
            now = sign()
            if now != seen:
                with _ALARM.lock:
                    for piece in self._open:
                        _ALARM.set(piece, self._seconds)
            seen = now


class _Alarm:
    """Python's one alarm in this process, set for the first of all deadlines."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._deadlines: dict[object, float] = {}
        """On the monotonic clock, of every piece of work that is under way."""

    def set(self, piece: object, seconds: float) -> None:
        self._deadlines[piece] = time.monotonic() + seconds
        self._wind()

    def clear(self, piece: object) -> None:
        del self._deadlines[piece]
        self._wind()

    def _wind(self) -> None:
        if not self._deadlines:
            faulthandler.cancel_dump_traceback_later()
            return
        left = min(self._deadlines.values()) - time.monotonic()
        faulthandler.dump_traceback_later(max(left, _AT_ONCE), exit=True, file=_STDERR)


_ALARM = _Alarm()
