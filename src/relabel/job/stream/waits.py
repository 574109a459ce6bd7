"""How long an engine had nothing to do, and for want of what. Knows a clock; nothing of units, engines or Ray."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from relabel.job.receipt import Waited


class Waits:
    """Follows one engine; several threads hold it at work."""

    def __init__(self, loading: float, *, clock: Callable[[], float] = time.time) -> None:
        """`loading`: seconds that the engine took to be there. `clock` is that of all processes of the run."""
        self._clock, self._lock = clock, threading.Lock()
        self._loading, self._reading, self._publishing = loading, 0.0, 0.0
        self._idle_since = clock()
        self._began = self._idle_since - loading
        self._num_working, self._worked, self._works_since = 0, 0.0, 0.0

    @contextmanager
    def working(self, prepared: float) -> Iterator[None]:
        """As long as the block lasts, on a unit that was prepared at this time."""
        with self._lock:
            if not self._num_working:
                self._works_since = self._clock()
                self._count(prepared, self._works_since)
            self._num_working += 1
        try:
            yield
        finally:
            with self._lock:
                self._num_working -= 1
                if not self._num_working:
                    self._idle_since = self._clock()
                    self._worked += self._idle_since - self._works_since

    def so_far(self) -> Waited:
        """What was waited since the engine was begun, while it is at work."""
        with self._lock:
            return Waited(
                seconds=max(0.0, self._clock() - self._began),
                loading=self._loading,
                reading=self._reading,
                publishing=self._publishing,
            )

    def at_work(self) -> tuple[float, float, int]:
        """The time by the clock, for how many seconds there was a unit until then, and how many there are."""
        with self._lock:
            now = self._clock()
            return now, self._worked + (now - self._works_since if self._num_working else 0.0), self._num_working

    def _count(self, prepared: float, now: float) -> None:
        """Until the unit was prepared it was waited for; from then on it was there, and nobody handed it over."""
        prepared = min(max(prepared, self._idle_since), now)
        self._reading += prepared - self._idle_since
        self._publishing += max(0.0, now - prepared)
