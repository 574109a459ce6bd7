"""A thread that calls now and then: for the lines of a log that must come whether or not anything has happened."""

from __future__ import annotations

import threading
from collections.abc import Callable

LOG_EVERY_SECONDS = 30.0


class Ticker:
    """Calls `tick` every so many seconds, as long as the block lasts."""

    def __init__(self, tick: Callable[[], None], *, every: float = LOG_EVERY_SECONDS) -> None:
        self._tick, self._every = tick, every
        self._over, self._thread = threading.Event(), threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Ticker:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(self._every):
            self._tick()
