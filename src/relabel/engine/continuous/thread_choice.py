"""How many threads compute a step, learned from the steps that were made: all of them, or fewer where others are at
work on the same cores.

The threads of a step wait for each other some hundred times in it. Where another process is on one core, all wait for
the one that shares it, and do so by spinning: on two cores, one of them taken, two threads are 0.4 times as fast as
one. (Threads that sleep while they wait are not, but on two idle cores two of them are slower than one.) Knows counts
and seconds alone.
"""

from __future__ import annotations

import statistics
from collections import deque

TRIED = 4
"""Steps in a row by which two numbers of threads are compared."""
FIRST, LONGEST = 32, 512
"""Steps until another number is tried; twice as many each time that it was no better."""
BETTER = 1.1
"""What is not faster by so much is by chance."""
SLOWER = 1.5
"""Times as long as usual: something has changed, and another number is tried at once."""
STEP_TOKENS = 64
"""A step costs as much as so many tokens more than it has."""


class ThreadChoice:
    """Tries half and twice as many now and then."""

    def __init__(self, most: int) -> None:
        self._most = self._current = most
        self._trying: int | None = None
        self._costs: deque[float] = deque(maxlen=TRIED)
        """Of the newest steps with as many threads as now: seconds for a token."""
        self._usual = float("inf")
        self._every, self._left = FIRST, TRIED
        self._goes_up = False

    @property
    def now(self) -> int:
        """Threads of the next step."""
        return self._current if self._trying is None else self._trying

    def observe(self, *, num_tokens: int, seconds: float) -> None:
        """A step of so many tokens with `now` threads took so long."""
        self._costs.append(seconds / (num_tokens + STEP_TOKENS))
        self._left -= 1
        if len(self._costs) < TRIED:
            return
        cost = statistics.median(self._costs)
        if self._trying is not None:
            self._decide(self._trying, cost)
        elif self._left <= 0 or cost > SLOWER * self._usual:
            self._usual = cost
            self._try()

    def _try(self) -> None:
        may_go_up, may_go_down = self._current < self._most, self._current > 1
        self._goes_up = may_go_up and not (may_go_down and self._goes_up)
        self._trying = min(2 * self._current, self._most) if self._goes_up else (self._current + 1) // 2
        self._costs.clear()

    def _decide(self, tried: int, cost: float) -> None:
        if cost * BETTER < self._usual:
            self._current, self._usual, self._every = tried, cost, FIRST
        else:
            self._every = min(2 * self._every, LONGEST)
        self._trying, self._left = None, self._every
        self._costs.clear()
