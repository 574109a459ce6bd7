"""Lengths of many rows in a few figures: mean, quantiles, a small histogram. Plain numbers: knows no rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


def quantile(ordered: Sequence[float], share: float) -> float:
    """The least of some ordered values that at least this share of them does not exceed. Raises ValueError of none."""
    if not ordered or not 0 <= share <= 1:
        raise ValueError("a quantile is a share from 0 to 1 of at least one value")
    rank = max(1, -(-len(ordered) * round(share * 10**6) // 10**6))
    return ordered[rank - 1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """What a list of lengths in tokens looks like; all null where it is empty."""

    num: int
    mean: float | None
    p50: int | None
    p95: int | None
    p99: int | None
    max: int | None
    histogram: tuple[tuple[int, int], ...]
    """A power of two, and how many lengths are at most that and above the one before, without empty ends."""

    @classmethod
    def of(cls, lengths: Sequence[int]) -> Lengths:
        """The figures of these lengths, none of them negative."""
        if not lengths:
            return cls(num=0, mean=None, p50=None, p95=None, p99=None, max=None, histogram=())
        ordered = sorted(lengths)
        found = {name: int(quantile(ordered, share)) for name, share in QUANTILES.items()}
        mean = sum(ordered) / len(ordered)
        return cls(num=len(ordered), mean=mean, max=ordered[-1], histogram=_histogram(ordered), **found)

    def to_json(self) -> dict[str, object]:
        """Plain values; the mean to a tenth of a token."""
        return {
            "mean": None if self.mean is None else round(self.mean, 1),
            **{name: getattr(self, name) for name in (*QUANTILES, "max")},
            "histogram": [{"up_to": up_to, "rows": number} for up_to, number in self.histogram],
        }


def _histogram(ordered: Sequence[int]) -> tuple[tuple[int, int], ...]:
    counts: dict[int, int] = {}
    for length in ordered:
        counts[_up_to(length)] = counts.get(_up_to(length), 0) + 1
    up_to, bins = min(counts), list[tuple[int, int]]()
    while up_to <= max(counts):
        bins.append((up_to, counts.get(up_to, 0)))
        up_to = _up_to(up_to + 1)
    return tuple(bins)


def _up_to(length: int) -> int:
    return 1 << max(0, length - 1).bit_length()
