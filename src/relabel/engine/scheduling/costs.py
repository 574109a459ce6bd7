"""What a step costs by what it decodes, learned from the steps that were made. Knows counts and seconds alone."""

from __future__ import annotations

import statistics
from collections import deque

WINDOW, EVERY = 96, 24
"""Steps that are looked at, and those after which the costs are learned anew."""
LEAST_SPREAD = 0.1
"""Of the mean: where all steps decode as many tokens, nothing can be told of one of them."""
UNKNOWN = 0.5
"""The least acceptance while the costs are not known: drafts make steps unequal, and so they become known."""


class StepCosts:
    """Seconds of a step are a constant, and so much for each token that is decoded; forgotten where steps are alike."""

    def __init__(self) -> None:
        self._decoded: deque[int] = deque(maxlen=WINDOW)
        self._seconds: deque[float] = deque(maxlen=WINDOW)
        self._num_seen = 0
        self._costs: tuple[float, float] | None = None
        """Seconds of a step, and of a token."""

    def observe(self, *, decoded: int, seconds: float) -> None:
        """A step of so many tokens, none of a prompt, took so long."""
        self._decoded.append(decoded)
        self._seconds.append(seconds)
        self._num_seen += 1
        if self._num_seen % EVERY:
            return
        if statistics.pstdev(self._decoded) >= LEAST_SPREAD * statistics.mean(self._decoded):
            token, step = statistics.linear_regression(self._decoded, self._seconds)
            self._costs = max(0.0, step), max(0.0, token)
        elif len(self._decoded) == WINDOW:
            self._costs = None  # what was learned once, maybe by chance, would keep steps alike for ever

    def least_acceptance(self, num_rows: int) -> float:
        """The fraction of drafted tokens that must be accepted for drafts to pay, where `num_rows` are decoded.

        A drafted token costs one more in a step. An accepted one saves that later, and the row's share of a step.
        """
        if self._costs is None:
            return UNKNOWN
        step, token = self._costs
        return token / (token + step / num_rows) if token else 0.0
