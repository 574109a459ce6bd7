"""The sampled rows generated on this machine: what became of them, and what a step of the model costs here.

A sample does not fill an engine as a run does. So the cost of a step is taken from the times of single steps, with few
rows and with many, and not from how long the sample took.
"""

# pyarrow has no types, so that nothing that comes from it has one.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false, reportUnknownLambdaType=false
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from relabel.engine import Engine
from relabel.engine.scheduling.step import Limits
from relabel.errors import RunFailed
from relabel.job.faults.attempt import UnitAttempt
from relabel.job.forecast.cost import LinearCost, Work
from relabel.job.forecast.fit import fit_cost
from relabel.job.forecast.forecast import Speed
from relabel.job.forecast.play import works_of
from relabel.job.forecast.texts import Text
from relabel.job.job import Job
from relabel.job.sample.draw import Sample
from relabel.job.sample.requested import Asked, chosen_of, texts_by_row
from relabel.job.sample.threads import threads_of_an_actor
from relabel.job.sample.watch import Clock, Watched, WatchedEngine
from relabel.job.stages.generate import generate_unit
from relabel.job.worker import LoadEngine

NUM_UNTIMED = 2
"""Steps of each call whose time does not count: rows are taken in, and memory is asked for."""
MANY = 10**6
"""Of whatever a call holds: all of it is before the engine at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A sample that was generated."""

    block: pa.Table
    """The rows with their texts, as a run would have them behind the engine."""
    texts: Mapping[int, Sequence[Text]]
    """All that was generated for each row, attempts that gave no label included; rows with the same text once."""
    speed: Speed
    note: str = ""
    """What is to be said of how sure the speed is."""


def measure(sample: Sample, job: Job, load: LoadEngine, unit_rows: int, clock: Clock) -> Measured:
    """Load the model and generate the sample, a quarter of it first, so that steps of few rows are timed, too.

    The run will have units of `unit_rows` rows; seconds are those of `clock`.

    Raises RunFailed where the engine fails, ModelRefused where there is none.
    """
    with threads_of_an_actor(job.spec.resources.gpus_per_actor):
        started = clock()
        engine = load(job.spec)
        start_seconds = clock() - started
        watched = WatchedEngine(engine, clock)
        rows = range(sample.block.num_rows)
        quarter = len(rows) // 4
        groups = [tuple(rows[:quarter]), tuple(rows[quarter:])] if quarter else [tuple(rows)]
        try:
            block = generate_unit(sample.block, watched, job, UnitAttempt(groups=groups))
        except Exception as error:  # the boundary of the engine: no row text is in a traceback
            if isinstance(error, RunFailed):
                raise
            raise RunFailed(f"the sample cannot be generated: the engine fails with {type(error).__name__}") from error
    calls, limits = watched.calls, limits_of(engine)
    cost = limits and _fitted(calls, limits)
    note = ""
    if cost is None:
        cost = _all_alike(calls)
        note = "the engine was less full than in a run, which is rather faster than this says"
    texts: dict[int, list[Text]] = {}
    for call in calls:
        for row, some in texts_by_row(_asked(call), unit_rows).items():
            texts.setdefault(row, []).extend(some)
    speed = Speed(cost=cost, limits=limits or _LIMITS, basis="measured", start_seconds=start_seconds)
    return Measured(block=block, texts=texts, speed=speed, note=note)


_LIMITS = Limits(kv_tokens=2**40, num_slots=256, step_tokens=8192)
"""Of an engine that says nothing of what it holds; the cost of a token is the same then, however full it is."""


def limits_of(engine: Engine) -> Limits | None:
    """How much the continuous engine holds; None of any other."""
    limits = getattr(engine, "limits", None)
    return limits if isinstance(limits, Limits) else None


def _fitted(calls: Sequence[Watched], limits: Limits) -> LinearCost | None:
    """The cost of steps, by what each step of the calls computed, which the scheduler says again.

    What a call takes besides its steps, taking rows in and making texts of tokens, is spread over them. None where the
    engine made other steps than that, so that nobody knows which took how long.
    """
    works, seconds, of_calls = list[Work](), list[float](), list[list[Work]]()
    for call in calls:
        each = list(works_of(list(texts_by_row(_asked(call), MANY).values()), limits, unit_rows=MANY, units_at_once=1))
        of_calls.append(each)
        made = call.steps[-1][0] if call.steps else 0
        if abs(made - len(each)) > 1 + len(each) // 50:
            return None
        for (first, then), (last, now) in zip(call.steps, call.steps[1:], strict=False):
            if first >= NUM_UNTIMED and each[first:last]:
                works.append(Work(*map(sum, zip(*each[first:last], strict=True))))
                seconds.append(now - then)
    cost = fit_cost(works, seconds)
    if cost is None or len(calls) < 2:
        return cost
    # of a call that is not the first, which asks for memory
    largest = max(range(1, len(calls)), key=lambda at: len(calls[at].requests))
    return cost.times(max(1.0, calls[largest].seconds / sum(map(cost, of_calls[largest]))))


def _asked(call: Watched) -> list[Asked]:
    """The texts of a call; those that the engine refused are left out."""
    return [
        Asked(
            request=request,
            most=sampling.max_new_tokens,
            chosen=chosen_of(result.num_tokens, result.finish_reason, sampling.max_new_tokens),
        )
        for request, sampling, result in zip(call.requests, call.samplings, call.results, strict=True)
        if result.error is None
    ]


def _all_alike(calls: Sequence[Watched]) -> LinearCost:
    """Every token at the same cost: all that can be said where the steps of an engine are not known."""
    seconds = sum(call.seconds for call in calls)
    tokens = sum(len(one.request.prompt_ids) + one.chosen for call in calls for one in _asked(call))
    each = seconds / max(1, tokens)
    return LinearCost(prompt=each, decoded=each)
