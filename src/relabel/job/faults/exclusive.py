"""Units side by side in one actor, or one alone: a unit in whose company the process died must not take others along.

Knows threads; nothing of units.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """Any number of threads share; one that asks to be alone waits for the others, and they for it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._num_sharing = self._num_waiting = 0
        self._is_taken = False

    @contextmanager
    def taken(self, *, alone: bool) -> Iterator[None]:
        """Hold a turn for as long as the block runs."""
        with self._changed:
            self._num_waiting += alone  # those that share let it in first, or it would wait for a gap in their company
            self._changed.wait_for(
                lambda: not self._is_taken and not (self._num_sharing if alone else self._num_waiting)
            )
            self._num_waiting -= alone
            self._is_taken = alone
            self._num_sharing += not alone
        try:
            yield
        finally:
            with self._changed:
                self._is_taken = False if alone else self._is_taken
                self._num_sharing -= not alone
                self._changed.notify_all()
