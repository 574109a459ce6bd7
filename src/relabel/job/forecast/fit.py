"""The cost of steps fitted to what some steps took: least squares, and no part of it below nothing.

Plain numbers: knows neither engines nor clocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from relabel.job.forecast.cost import LinearCost, Work

FEWEST = 12
"""Intervals: fewer say nothing sure of four unknowns."""
PARTS = ("steps", "prompt", "decoded", "context")


def fit_cost(works: Sequence[Work], seconds: Sequence[float]) -> LinearCost | None:
    """The linear cost nearest to what was measured; None where that is too little to say.

    Of all subsets of the four parts the best whose factors are all positive is taken: that is the solution of
    non-negative least squares.
    """
    if len(works) < FEWEST or sum(seconds) <= 0:
        return None
    table = np.array([[getattr(work, part) for part in PARTS] for work in works], dtype=np.float64)
    wanted = np.array(seconds, dtype=np.float64)
    scale = np.maximum(table.max(axis=0), 1.0)
    best, factors = float(np.square(wanted).sum()), np.zeros(len(PARTS))
    for size in range(1, len(PARTS) + 1):
        for some in map(list, combinations(range(len(PARTS)), size)):
            found, *_ = np.linalg.lstsq(table[:, some] / scale[some], wanted, rcond=1e-9)
            error = float(np.square(table[:, some] / scale[some] @ found - wanted).sum())
            if (found >= 0).all() and error < best * (1 - 1e-9):
                best, factors = error, np.zeros(len(PARTS))
                factors[some] = found / scale[some]
    step, prompt, decoded, context = map(float, factors)
    return LinearCost(step=step, prompt=prompt, decoded=decoded, context=context)
