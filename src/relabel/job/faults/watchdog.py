"""Ends the process when it hangs: a storage that never answers, a device that never finishes, a loop in C.

Python's own watchdog thread does it, which needs no interpreter lock; it writes to stderr where each thread was, and
the death is counted like any other.
"""

from __future__ import annotations

import faulthandler
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LOOKS = 4
"""Looks at the sign of life in each deadline."""
_STDERR = 2


class Watchdog:
    """Gives each piece of work `seconds`; given a `sign`, so many since it last changed."""

    def __init__(self, seconds: float, sign: Callable[[], object] | None = None) -> None:
        self._seconds, self._sign = seconds, sign
        self._lock = threading.Lock()
        self._num_open = 0
        self._closed = threading.Event()
        if sign is not None:
            threading.Thread(target=self._look, args=(sign,), daemon=True).start()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """As long as the block runs, beside others of other threads."""
        with self._lock:
            self._num_open += 1
            if self._num_open == 1:
                self._arm()
        try:
            yield
        finally:
            with self._lock:
                self._num_open -= 1
                if not self._num_open:
                    faulthandler.cancel_dump_traceback_later()

    def close(self) -> None:
        """Look no more, and let go of what the sign of life is taken from: a whole engine, for example."""
        self._closed.set()

    def _look(self, sign: Callable[[], object]) -> None:
        seen = sign()
        while not self._closed.wait(self._seconds / LOOKS):
            now = sign()
            with self._lock:
                if self._num_open and now != seen:
                    self._arm()
            seen = now

    def _arm(self) -> None:
        faulthandler.dump_traceback_later(self._seconds, exit=True, file=_STDERR)
