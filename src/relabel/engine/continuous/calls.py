"""Calls of `generate` from several threads that one of them serves: who computes, who waits, who is told.

Knows requests and results by number; nothing of models.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from relabel.engine.api.request import Request, Result


@dataclass(slots=True, eq=False)
class Call:
    """The requests of one call and what is known of them."""

    requests: Sequence[Request]
    results: dict[int, Result] = field(default_factory=dict)
    error: BaseException | None = None

    @property
    def is_done(self) -> bool:
        return self.error is not None or len(self.results) == len(self.requests)


class Calls:
    """The calls that wait. The first to come computes for all of them until its own is done, then another does."""

    def __init__(self) -> None:
        self._arrived: deque[Call] = deque()
        self._open: set[Call] = set()
        """All that have not returned."""
        self._changed = threading.Condition()
        self._is_led = False

    def serve(self, requests: Sequence[Request], lead: Callable[[Call], None]) -> list[Result]:
        """The results of a call, in order. `lead(call)` computes for all calls and returns when this one is done."""
        if not requests:
            return []
        call = Call(requests)
        with self._changed:
            self._arrived.append(call)
            self._open.add(call)
        while True:
            with self._changed:
                self._changed.wait_for(lambda: call.is_done or not self._is_led)
                if call.is_done:
                    self._open.remove(call)
                    break
                self._is_led = True
            try:
                lead(call)
            finally:
                with self._changed:
                    self._is_led = False
                    self._changed.notify_all()
        if call.error is not None:
            raise call.error
        return [call.results[at] for at in range(len(requests))]

    def take(self) -> Call | None:
        """The next call that has arrived."""
        with self._changed:
            return self._arrived.popleft() if self._arrived else None

    def finish(self, call: Call, at: int, result: Result) -> None:
        """One result; its call returns with the last of them, even while another thread computes."""
        call.results[at] = result
        if call.is_done:
            with self._changed:
                self._changed.notify_all()

    def fail(self, error: BaseException) -> None:
        """All calls that are not done raise the error."""
        with self._changed:
            for call in self._open:
                if not call.is_done:
                    call.error = error
            self._arrived.clear()
