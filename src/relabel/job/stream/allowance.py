"""Which units may begin to be generated, where a run may have to end before all are done.

A unit that has begun may go on, in another process, too. Once one was held back nothing begins any more: what is
held back is not handed out again. Plain Python; knows neither budgets nor Ray.
"""

from __future__ import annotations

HELD_BACK = "not begun: the budget of the run is reached"
"""In place of the labels of a unit that may not begin. Nobody is told of it: it was no unit of this run."""


class Allowance:
    """Counts units that begin, by the names of their parts."""

    most_begun: int | None = None
    is_over = False
    """Whether one was held back."""

    def __init__(self) -> None:
        self.begun = set[str]()

    def begin_at_most(self, number: int) -> None:
        """So many units may begin in all."""
        self.most_begun = number

    def may_begin(self, part: str) -> bool:
        """Whether a unit may begin to be generated, which then counts as begun."""
        if part in self.begun:
            return True
        if self.is_over or (self.most_begun is not None and len(self.begun) >= self.most_begun):
            self.is_over = True
            return False
        self.begun.add(part)
        return True
