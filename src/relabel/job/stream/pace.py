"""How the driver's word on what may begin reaches those who begin units, and when what has begun is done. No Ray."""

from __future__ import annotations

from typing import Protocol

from relabel.job.course import Course
from relabel.job.receipt import Receipt
from relabel.job.stream.allowance import HELD_BACK


class Beside(Protocol):
    """Who keeps the allowance, perhaps in another process."""

    def begin_at_most(self, number: int) -> None: ...

    def begun(self) -> set[str]: ...


class Pace:
    """Sees every receipt of a run. Asks nothing of a run that nobody limits."""

    def __init__(self, beside: Beside, course: Course) -> None:
        self._beside, self._course = beside, course
        self._told: int | None = None
        self._received = set[str]()
        self._begun: set[str] | None = None
        """The parts of what has begun, once nothing else does."""
        self._tell()

    @property
    def is_over(self) -> bool:
        """Whether nothing begins any more."""
        return self._begun is not None

    def holds_back(self, receipt: Receipt) -> bool:
        """Whether a receipt is of a unit that was not let begin."""
        is_held_back = receipt.failure == HELD_BACK
        if is_held_back and self._begun is None:
            self._begun = self._beside.begun()
        elif not is_held_back and self._course.is_limited:
            self._received.add(receipt.part)
        return is_held_back

    def is_done(self) -> bool:
        """Whether nothing begins any more, and all that has begun is received. Hands on what the driver says now."""
        self._tell()
        return self._begun is not None and self._begun <= self._received

    def _tell(self) -> None:
        if self._course.most_begun is not None and self._course.most_begun != self._told:
            self._told = self._course.most_begun
            self._beside.begin_at_most(self._told)
