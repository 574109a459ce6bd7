"""The metrics of a run as its driver sees it: from what was said of it, of its engines and of its units on their way.

A plain function; knows neither clocks nor Ray. Totals count what receipts say, and there is one receipt for a unit
however often it was tried.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from relabel.data.runs.beat import Beat
from relabel.job.metrics import table
from relabel.job.metrics.meter import Sample
from relabel.job.metrics.seen import Seen
from relabel.job.metrics.table import Metric
from relabel.job.progress.engines import EnginesSeen

_LONGEST_MODEL = 40


def samples_of_run(beat: Beat, model: str, prompt_tokens: int, engines: EnginesSeen, seen: Seen) -> list[Sample]:
    """Every series of the driver's. `model`: as the spec has it; `prompt_tokens` of rows that are done."""
    return [*_gauges(beat, model, seen), *_counters(beat, prompt_tokens, engines, seen)]


def _gauges(beat: Beat, model: str, seen: Seen) -> Iterator[Sample]:
    what = (beat.command, beat.engines.name, model.rstrip("/").rpartition("/")[2][:_LONGEST_MODEL])
    yield Sample(table.INFO, what, 1)
    seconds, units_left = beat.gpu_hours * 3600, max(0, beat.num_units - beat.units - beat.failed)
    plain: Sequence[tuple[Metric, float | None]] = (
        (table.ROWS_PLANNED, beat.num_rows),
        (table.ROWS_LEFT, max(0, beat.num_rows - beat.rows)),
        (table.UNITS_LEFT, units_left),
        (table.LEFT_SECONDS, beat.seconds_left),
        (table.GPU_SECONDS, seconds),
        (table.DOLLARS, None if beat.price is None else beat.gpu_hours * beat.price),
    )
    yield from (Sample(metric, (), value) for metric, value in plain if value is not None)
    yield from _each(table.ENGINES, {("up",): beat.engines.up, ("planned",): beat.engines.planned})
    to_be_read = max(0, units_left - sum(seen.under_way.values()))
    yield from _each(table.UNITS_UNDER_WAY, {**seen.under_way, ("reading", "waiting"): to_be_read})


def _counters(beat: Beat, prompt_tokens: int, engines: EnginesSeen, seen: Seen) -> Iterator[Sample]:
    goodput, waited = engines.goodput, engines.said_to_wait
    yield from _each(table.ROWS, {("ok",): beat.ok, ("rejected",): beat.rejected})
    yield from _each(table.REJECTED_ROWS, {(code,): number for code, number in beat.reasons.items()})
    yield from _each(table.UNITS, {("done",): beat.units, ("failed",): beat.failed})
    yield from _each(table.ROW_TOKENS, {("prompt",): prompt_tokens, ("output",): beat.output_tokens})
    computed = {
        ("useful",): goodput.useful_tokens,
        ("padded",): goodput.padded_tokens,
        ("wasted",): goodput.wasted_tokens,
    }
    yield from _each(table.COMPUTED_TOKENS, computed)
    yield Sample(table.SHARED_TOKENS, (), goodput.shared_tokens)
    idle = {("loading",): waited.loading, ("reading",): waited.reading, ("publishing",): waited.publishing}
    yield from _each(table.ENGINE_SECONDS, {("working",): max(0.0, waited.seconds - sum(idle.values())), **idle})
    yield Sample(table.OUT_OF_MEMORY, (), goodput.num_out_of_memory)
    yield from _each(table.DEATHS, seen.deaths)
    yield from _each(table.COPIES, {(outcome,): number for outcome, number in seen.copies.items()})


def _each(metric: Metric, values: Mapping[tuple[str, ...], float]) -> Iterator[Sample]:
    """All series, so that each is there from the start: a counter that begins at 1 never rises from nought."""
    for labels in metric.series():
        yield Sample(metric, labels, values.get(labels, 0))
