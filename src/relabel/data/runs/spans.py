"""How long many things took, as counts by length, so that a document of bounded size holds any number of them.

Two lengths are one where neither is more than 1.42 times the other or so. Knows seconds; nothing of what took them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

LEAST, MOST = -26, 44
"""Steps: from a tenth of a millisecond to seven weeks; what is beyond is counted there."""
Spans = Mapping[str, int]
"""How many are at most 2 ** (step / 2) seconds long, and longer than those of the step before, by step."""


def step_of(seconds: float) -> str:
    """The step of a length."""
    return str(LEAST if seconds <= 0 else max(LEAST, min(MOST, math.ceil(2 * math.log2(seconds)))))


def most_of(step: int) -> float:
    """The most seconds of a step."""
    return 2 ** (step / 2)


def together(all_spans: Iterable[Spans]) -> dict[int, int]:
    """The counts of all by step, in order, none left out between the first and the last; of others than steps none."""
    counts: dict[int, int] = {}
    for spans in all_spans:
        for step in map(str, range(LEAST, MOST + 1)):
            if number := spans.get(step):
                counts[int(step)] = counts.get(int(step), 0) + number
    return {step: counts.get(step, 0) for step in range(min(counts), max(counts) + 1)} if counts else {}
