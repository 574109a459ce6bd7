"""From a sample of rows and the cost of a step to what a run takes: seconds, hours of GPUs, money, tokens.

Plain values. It plays the run of one engine and multiplies; reads nothing and measures nothing.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from relabel.engine.scheduling.step import Limits
from relabel.job.forecast.cost import StepCost, Work
from relabel.job.forecast.hours import gpu_hours
from relabel.job.forecast.interval import UNKNOWN, Interval, interval_of_mean, interval_of_spread
from relabel.job.forecast.memory import rows_at_once
from relabel.job.forecast.play import seconds_of
from relabel.job.forecast.texts import SampledRow, Text

MOST_PLAYED = 2048
"""Rows of one engine that are played: twice what the scheduler sorts together."""
MOST_STEPS = 2_000_000
"""Decoded tokens that are played, a second of work for half a million; but the engine is always filled twice."""

Basis = Literal["measured", "rate", "roofline"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """How fast one engine is, and how much it holds."""

    cost: StepCost
    limits: Limits
    basis: Basis
    """Whether the cost was measured, told by an earlier run, or estimated from what a card can do."""
    start_seconds: float | None = None
    """Until the engine was ready here; None where none was loaded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """What the rows are divided over."""

    actors: int
    gpus: float
    """Of each actor. One without a GPU counts like one GPU: its hours are paid, too."""
    unit_rows: int
    units_at_once: int
    """Units before one engine at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """What a run takes, and between what that lies as far as the draw of the sample decides it."""

    seconds: Interval
    """Of generation, by the clock, on all actors side by side."""
    gpu_hours: Interval
    """Of generation, all GPUs together."""
    rows_at_once: int


def times_of(
    sample: Sequence[SampledRow], num_rows: int, speed: Speed, fleet: Fleet, seed: int, *, looked_at: int
) -> Times:
    """What `num_rows` rows such as those of the sample take, for which so many were looked at."""
    slots = rows_at_once(speed.limits, mean_tokens(sample))
    actors = max(1, min(fleet.actors, -(-num_rows // fleet.unit_rows)))
    own_rows = -(-num_rows // actors)
    played = seconds_of(
        _as_many(sample, min(own_rows, _num_played(sample, slots)), seed),
        speed.limits,
        speed.cost,
        unit_rows=fleet.unit_rows,
        units_at_once=fleet.units_at_once,
        num_rows=own_rows,
    )
    spread = mean_of(sample, lambda row: _seconds_alone(row.texts, speed.cost, slots), num_rows, seed, looked_at)
    seconds = spread.times(played / spread.mid) if spread.mid else Interval(low=played, mid=played, high=played)
    return Times(
        seconds=seconds,
        gpu_hours=seconds.times(gpu_hours(actors, fleet.gpus)),
        rows_at_once=min(slots, num_rows),
    )


def mean_of(
    sample: Sequence[SampledRow],
    value: Callable[[SampledRow], float | None],
    num_rows: int,
    seed: int,
    looked_at: int,
) -> Interval:
    """The mean of a value over all rows, of which so many were looked at; unknown where a row has none."""
    draws, values = dict[int, list[float]](), list[float]()
    for row in sorted(sample, key=lambda row: row.prompt):
        if (found := value(row)) is None:
            return UNKNOWN
        values.append(found)
        draws.setdefault(row.drawn, []).append(found)
    if len(draws) < len(values):  # rows of one unit are alike, and how long their prompts are says the less
        return interval_of_mean(list(draws.values()), seed, num_rows)
    return interval_of_spread(values, seed, looked_at, num_rows)


def longest_of(sample: Sequence[SampledRow]) -> int:
    """Tokens of the longest prompt with the longest text that it may have."""
    return max((text.prompt + text.most for row in sample for text in row.texts), default=1)


def mean_tokens(sample: Sequence[SampledRow]) -> float:
    """Tokens of a prompt with its text, in the mean."""
    texts = [text for row in sample for text in row.texts]
    return sum(text.prompt + text.chosen for text in texts) / max(1, len(texts))


def store_requests(num_units: int) -> dict[str, int]:
    """About what a run asks of the output's store.

    Each unit is created, its recipe looked at, and its stamp read at the end; the parts are listed, a thousand a
    request, at the start, at the end and once between.
    """
    return {"put": num_units + 3, "get": 2 * num_units + 8, "list": 3 * (1 + num_units // 1000)}


def _as_many(sample: Sequence[SampledRow], num_rows: int, seed: int) -> list[tuple[Text, ...]]:
    """The rows of the sample over and over, in another order each time."""
    random_, rows, found = random.Random(seed), [row.texts for row in sample], list[tuple[Text, ...]]()
    while rows and len(found) < num_rows:
        random_.shuffle(rows)
        found += rows
    return found[:num_rows]


def _num_played(sample: Sequence[SampledRow], slots: int) -> int:
    tokens = sum(text.chosen for row in sample for text in row.texts) / max(1, len(sample))
    return max(2, min(MOST_PLAYED, int(MOST_STEPS / max(1.0, tokens))), 4 * slots)


def _seconds_alone(texts: Sequence[Text], cost: StepCost, slots: int) -> float:
    """Its part of the seconds of a full engine."""
    seconds = 0.0
    for text in texts:
        own = max(1, text.prompt - max(text.shared, text.in_common))
        seconds += cost(Work(steps=0, prompt=own, decoded=0, context=0, logits=1))
        context = text.chosen * (text.prompt + text.chosen // 2)
        steps = Work(steps=1, prompt=0, decoded=slots, context=slots * context // text.chosen, logits=slots)
        seconds += cost(steps) * text.chosen / slots
    return seconds
