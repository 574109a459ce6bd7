"""How many rows and units fit into what is left, by what those that were done have cost. Plain numbers.

What is under way is part of it: an engine is told of the tokens that it has written for units that are not done yet.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """What engines have done by their last word."""

    rows: int
    """Of units that are done."""
    row_tokens: int
    """That were written for them."""
    tokens: int
    """That the engines have written in all, those of units under way included."""

    @property
    def rows_done(self) -> float:
        """Rows of units that are done, and what was written of others in rows of the mean length."""
        if not self.row_tokens or not self.rows:
            return float(self.rows)
        return max(float(self.rows), self.tokens / (self.row_tokens / self.rows))

    def rows_that_fit(self, left: float, cost: float) -> float | None:
        """Rows of a run that has `left` to spend, where what is done has cost `cost`; None where nothing is known.

        Hours or seconds, those of the rows that are done included.
        """
        if not self.rows_done or cost <= 0:
            return None
        return left / (cost / self.rows_done)


class Sizes:
    """The rows of units, in the order in which they are begun, in 8 bytes each."""

    def __init__(self, rows: Iterable[float], most_rows: float | None = None) -> None:
        """Of the first units only, where all of them may have no more than `most_rows`."""
        self._middles, self._num_rows = array("d"), 0.0
        for size in rows:
            if most_rows is not None and self._num_rows + size > most_rows:
                break
            self._middles.append(self._num_rows + size / 2)
            self._num_rows += size

    def __len__(self) -> int:
        return len(self._middles)

    def nearest(self, rows: float) -> int:
        """The number of units that comes nearest to so many rows."""
        return bisect_right(self._middles, rows)
