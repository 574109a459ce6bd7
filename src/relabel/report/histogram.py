"""Numbers in bars, and the few figures that a person asks of them. Knows numbers alone, and seconds by their steps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from relabel.data.runs.spans import Spans, most_of, together

MOST_BARS, FEWEST_BARS = 24, 8
"""Some bars stay empty where all numbers are nearly the same."""
_STEPS = (1, 2, 5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """How many numbers are from `low` to `high`, both among them."""

    low: int
    high: int
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """Whole numbers from nought on, such as lengths."""

    name: str
    rows: int
    mean: float
    p50: int
    p95: int
    longest: int
    bars: tuple[Bar, ...]
    """Of equal widths but for the last, which goes on to the longest."""

    @property
    def highest(self) -> int:
        """The count of the highest bar."""
        return max(bar.count for bar in self.bars)

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def histogram(name: str, numbers: Sequence[int]) -> Histogram | None:
    """The bars of some numbers; None of none. What is above the 99th percentile shares the last bar."""
    if not numbers:
        return None
    values = np.array(numbers, np.int64)
    low, high = int(values.min()), int(np.percentile(values, 99, method="higher"))
    step = _step(high - low + 1)
    start = low // step * step
    edges = list(range(start, high + 1, step))
    edges += range(edges[-1] + step, edges[0] + FEWEST_BARS * step, step)
    counts = np.bincount(np.minimum((values - start) // step, len(edges) - 1), minlength=len(edges)).tolist()
    ends = [edge + step - 1 for edge in edges]
    ends[-1] = max(ends[-1], int(values.max()))
    bars = [Bar(low=edge, high=end, count=count) for edge, end, count in zip(edges, ends, counts, strict=True)]
    return Histogram(
        name=name,
        rows=len(numbers),
        mean=round(float(values.mean()), 1),
        p50=int(np.percentile(values, 50, method="nearest")),
        p95=int(np.percentile(values, 95, method="nearest")),
        longest=int(values.max()),
        bars=tuple(bars),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """How many took up to so many seconds, and longer than those of the span before."""

    up_to: float
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """How long things took, each span 1.4 times as long as the one before."""

    name: str
    number: int
    p50: float
    """Half of them took no longer, to the span; in seconds, as all of these."""
    p95: float
    longest: float
    bars: tuple[Span, ...]

    @property
    def highest(self) -> int:
        """The count of the highest bar."""
        return max(bar.count for bar in self.bars)

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def times(name: str, all_spans: Iterable[Spans]) -> Times | None:
    """The bars of what several runs have counted; None where none has."""
    counts = together(all_spans)
    if not counts:
        return None
    bars = tuple(Span(up_to=float(f"{most_of(step):.2g}"), count=number) for step, number in counts.items())
    number = sum(counts.values())
    return Times(
        name=name,
        number=number,
        p50=_below(bars, number / 2),
        p95=_below(bars, number * 0.95),
        longest=bars[-1].up_to,
        bars=bars,
    )


def _below(bars: Sequence[Span], number: float) -> float:
    """The length that so many do not exceed."""
    for bar in bars:
        number -= bar.count
        if number <= 0:
            return bar.up_to
    return bars[-1].up_to


def _step(width: int) -> int:
    """The least round width of a bar with which so many numbers take few enough bars."""
    power = 1
    while True:
        for step in _STEPS:
            if width <= (MOST_BARS - 1) * step * power:
                return step * power
        power *= 10
