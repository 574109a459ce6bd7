"""How sure a figure is that was found in a sample: the bootstrap, by a seed. Plain numbers."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from relabel.job.forecast.lengths import quantile

NUM_RESAMPLES = 1000
ALIKE = 8
"""Values next to each other, in the order that they were spread along, that are taken for draws of one kind."""
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
    unseen = _unseen(sum(number for _, number in sums), num_all)
    return _around(mean, [(one - mean) * unseen for one in means])


def interval_of_spread(values: Sequence[float], seed: int, num_looked_at: int, num_all: int) -> Interval:
    """The same of values that were spread along something by which `num_looked_at` of all were ordered, in that order.

    What differs between short and long ones is left to chance by those that were looked at alone; what differs among
    neighbours by the values.
    """
    if not values:
        return UNKNOWN
    mean, random_, away = sum(values) / len(values), random.Random(seed), list[float]()
    kinds = [values[at : at + ALIKE] for at in range(0, len(values), ALIKE)]
    if len(kinds) > 1 and len(kinds[-1]) < ALIKE:
        kinds[-2:] = [values[(len(kinds) - 2) * ALIKE :]]
    middles = [sum(kind) / len(kind) for kind in kinds]
    between = _unseen(num_looked_at, num_all) * math.sqrt(len(values) / max(num_looked_at, len(values)))
    # the spread of all is that much larger than the one of a few among themselves
    among = _unseen(len(values), num_all) * math.sqrt(ALIKE / (ALIKE - 1))
    for _ in range(NUM_RESAMPLES):
        own = sum(
            sum(random_.choices(kind, k=len(kind))) - middle * len(kind)
            for kind, middle in zip(kinds, middles, strict=True)
        )
        others = sum(random_.choices(middles, [len(kind) for kind in kinds], k=len(values))) - mean * len(values)
        away.append((own * among + others * between) / len(values))
    return _around(mean, away)


def _unseen(num_drawn: int, num_all: int) -> float:
    """What is left to chance of a deviation where so many of all were drawn."""
    return math.sqrt(max(0.0, 1 - num_drawn / max(num_all, num_drawn, 1)))


def _around(mean: float, away: list[float]) -> Interval:
    away.sort()
    outside = (1 - COVERS) / 2
    return Interval(
        low=mean + min(0.0, quantile(away, outside)), mid=mean, high=mean + max(0.0, quantile(away, 1 - outside))
    )
