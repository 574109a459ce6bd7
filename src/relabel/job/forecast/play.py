"""A run played without a model: the scheduler of the continuous engine admits rows of known lengths, step by step.

Plain integers and seconds. It knows how full the engine is at each moment, which a sample alone never fills as a run
does; nothing of prompts, files or torch.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import count

from relabel.engine.scheduling.scheduler import Scheduler
from relabel.engine.scheduling.step import Limits, PrefixGroup
from relabel.job.forecast.cost import StepCost, Work
from relabel.job.forecast.texts import Text

Row = Sequence[Text]


def works_of(rows: Sequence[Row], limits: Limits, *, unit_rows: int, units_at_once: int) -> Iterator[Work]:
    """What each step computes, until all texts are there. `units_at_once` units are before the engine at any time.

    A text that does not fit into `limits` at all is left out: a run rejects it.
    """
    scheduler, numbers, groups = Scheduler(limits), count(), count()
    waiting = deque(rows[at : at + unit_rows] for at in range(0, len(rows), unit_rows))
    left: dict[int, int] = {}
    """Texts of each unit that are not done."""
    unit_of: dict[int, int] = {}
    texts: dict[int, Text] = {}
    todo: dict[int, int] = {}
    """Tokens that are still to be chosen for each text."""

    def take(unit: int) -> None:
        for row in waiting.popleft():
            group = next(groups)
            for text in row:
                if scheduler.fits(text.prompt, text.most):
                    number = next(numbers)
                    in_common = PrefixGroup(group, text.in_common) if text.in_common > text.shared else None
                    scheduler.add(
                        number,
                        prompt_tokens=text.prompt,
                        new_tokens=text.most,
                        shared=min(text.shared, text.prompt - 1),
                        is_whole=text.is_whole,
                        prefix_group=in_common,
                    )
                    unit_of[number], texts[number], todo[number] = unit, text, text.chosen
                    left[unit] = left.get(unit, 0) + 1

    def chose(number: int) -> None:
        todo[number] -= 1
        if todo[number] <= 0:
            scheduler.end(number)
            del texts[number]
            unit = unit_of.pop(number)
            left[unit] -= 1
            if not left[unit]:
                del left[unit]

    units = count()
    while True:
        while waiting and len(left) < units_at_once:
            take(next(units))
        if (step := scheduler.step()) is None:
            if not waiting:
                return
            continue
        todo |= {number: texts[number].chosen for number in step.put_back}
        ended = [chunk.row for chunk in step.chunks if chunk.is_last]
        decoded = [row.row for row in step.decode_rows]
        yield Work(
            steps=1,
            prompt=sum(chunk.end - chunk.start for chunk in step.chunks),
            decoded=len(decoded),
            context=sum(row.position + 1 for row in step.decode_rows),
            logits=len(decoded) + len(ended),
        )
        for number in (*decoded, *ended):
            chose(number)


def seconds_of(
    rows: Sequence[Row], limits: Limits, cost: StepCost, *, unit_rows: int, units_at_once: int, num_rows: int
) -> float:
    """Seconds in which one engine makes `num_rows` rows such as these.

    All are played where there are no more; else what the last half of these took beside the first goes on and on, and
    filling and emptying the engine is counted once.
    """
    if num_rows <= 0 or not rows:
        return 0.0

    def played(some: Sequence[Row]) -> float:
        return sum(map(cost, works_of(some, limits, unit_rows=unit_rows, units_at_once=units_at_once)))

    if num_rows <= len(rows):
        return played(rows[:num_rows])
    half = len(rows) // 2
    whole = played(rows)
    each = (whole - played(rows[:half])) / (len(rows) - half)
    return whole + each * (num_rows - len(rows))
