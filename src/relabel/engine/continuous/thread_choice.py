"""How many threads compute a step, learned from the steps that were made: all of them, or fewer where others are at
work on the same cores.

The threads of a step wait for each other some hundred times in it. Where another process is on one core, all wait for
the one that shares it, and do so by spinning: on two cores, one of them taken, two threads take 2.5 to 20 times as long
as one. (Threads that sleep while they wait do not, but on two idle cores two of them are slower than one.) Knows counts
and seconds alone.
"""

from __future__ import annotations

import statistics
from collections import deque

TRIED = 4
"""Steps in a row by which two numbers of threads are compared."""
EVERY = 32
"""Steps until another number is tried, at least."""
PATIENCE, MOST_PATIENCE = 25, 1000
"""A trial that failed is not made again before it has cost one part in so many of all steps; or after so many steps."""
BETTER = 1.1
"""What is not faster by so much is by chance."""
SLOWER, ABANDONED = 1.5, 3.0
"""Times as long as usual. Two steps that take longer: something has changed, and fewer threads are tried at once. One
step of a trial: it has failed."""
STEP_TOKENS = 64
"""A step costs as much as so many tokens more than it has."""


class ThreadChoice:
    """Begins with one, and tries half and twice as many now and then."""

    def __init__(self, most: int) -> None:
        self._most, self._current = most, 1
        self._trying: int | None = None
        self._costs: deque[float] = deque(maxlen=TRIED)
        """Of the newest steps with as many threads as now: seconds for a token."""
        self._usual = float("inf")
        self._left = TRIED
        """Steps until the next trial."""
        self._goes_up = False

    @property
    def now(self) -> int:
        """Threads of the next step."""
        return self._current if self._trying is None else self._trying

    def observe(self, *, num_tokens: int, seconds: float) -> None:
        """A step of so many tokens with `now` threads took so long."""
        self._costs.append(seconds / (num_tokens + STEP_TOKENS))
        self._left -= 1
        cost = statistics.median(self._costs)
        if self._trying is not None:
            if len(self._costs) == TRIED or self._costs[-1] > ABANDONED * self._usual:
                self._decide(self._trying, cost)
        elif self._left <= 0 and len(self._costs) == TRIED:
            self._goes_up = self._current < self._most and (self._current == 1 or self._goes_up)
            self._try(min(2 * self._current, self._most) if self._goes_up else (self._current + 1) // 2, cost)
        elif (
            self._current > 1 and len(self._costs) > 1 and min(self._costs[-1], self._costs[-2]) > SLOWER * self._usual
        ):
            self._try((self._current + 1) // 2, cost)

    def _try(self, number: int, cost: float) -> None:
        self._trying, self._usual = number, cost
        self._costs.clear()

    def _decide(self, tried: int, cost: float) -> None:
        is_better = cost * BETTER < self._usual
        lost = sum(self._costs) / self._usual - len(self._costs)
        self._left = max(EVERY, min(round(PATIENCE * lost), MOST_PATIENCE))
        if is_better:
            if tried > self._current:
                self._left = TRIED  # perhaps more are better still
            self._current, self._usual = tried, cost
        else:
            self._goes_up = not self._goes_up
        self._trying = None
        self._costs.clear()
