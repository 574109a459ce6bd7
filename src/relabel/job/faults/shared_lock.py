"""Units side by side in one process, or one alone: a unit that killed its process must not take others along.

A reader-writer lock that lets writers in first. Knows threads; nothing of units.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class SharedLock:
    """Held by any number of threads that share it, or by one exclusively."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._num_sharing = 0
        """Number of threads inside `shared`."""
        self._num_waiting = 0
        """Number of threads that wait in `exclusive`; nobody else is let in, or they would wait for a gap."""
        self._is_exclusive = False
        """Whether a thread is inside `exclusive`."""

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Hold the lock beside others that share it."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_exclusive and not self._num_waiting)
            self._num_sharing += 1
        try:
            yield
        finally:
            with self._changed:
                self._num_sharing -= 1
                self._changed.notify_all()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the lock alone."""
        with self._changed:
            self._num_waiting += 1
            self._changed.wait_for(lambda: not self._is_exclusive and not self._num_sharing)
            self._num_waiting -= 1
            self._is_exclusive = True
        try:
            yield
        finally:
            with self._changed:
                self._is_exclusive = False
                self._changed.notify_all()
