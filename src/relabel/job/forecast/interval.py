"""How sure a figure is that was found in a sample: the bootstrap, by a seed. Plain numbers."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from relabel.job.forecast.lengths import quantile

NUM_RESAMPLES = 1000
COVERS = 0.9
"""The interval holds the true value so often, were it drawn again and again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A figure, and between what it lies. All null where it is not known."""

    low: float | None
    mid: float | None
    high: float | None

    def times(self, factor: float) -> Interval:
        """The same in another measure."""
        return Interval(**{name: value and value * factor for name, value in self._values().items()})

    def to_json(self) -> dict[str, float | None]:
        """Four significant digits each."""
        return {name: value and float(f"{value:.4g}") for name, value in self._values().items()}

    def _values(self) -> dict[str, float | None]:
        return {"low": self.low, "mid": self.mid, "high": self.high}


UNKNOWN = Interval(low=None, mid=None, high=None)


def interval_of_mean(clusters: Sequence[Sequence[float]], seed: int, num_all: int) -> Interval:
    """The mean of all values and between what that of the `num_all` they were drawn from lies, as far as the draw
    decides it.

    Values that were drawn together, such as rows of one unit, are resampled together: they are alike. The more of all
    values were drawn, the less is left to chance.
    """
    sums = [(sum(values), len(values)) for values in clusters if values]
    if not sums:
        return UNKNOWN
    mean = sum(total for total, _ in sums) / sum(number for _, number in sums)
    random_, means = random.Random(seed), list[float]()
    for _ in range(NUM_RESAMPLES):
        drawn = random_.choices(sums, k=len(sums))
        means.append(sum(total for total, _ in drawn) / sum(number for _, number in drawn))
    means.sort()
    outside, num_drawn = (1 - COVERS) / 2, sum(number for _, number in sums)
    unseen = math.sqrt(max(0.0, 1 - num_drawn / max(num_all, num_drawn)))
    low, high = min(mean, quantile(means, outside)), max(mean, quantile(means, 1 - outside))
    return Interval(low=mean - (mean - low) * unseen, mid=mean, high=mean + (high - mean) * unseen)
