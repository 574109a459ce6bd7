"""What a run costs, predicted from a sample of its rows: joins the sample, the speed of an engine and the run's size.

Prints nothing and writes nothing.
"""

# pyarrow has no types, so that nothing that comes from it has one.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false, reportUnknownLambdaType=false
from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from relabel.data.sources.plan import Plan
from relabel.data.store.part import encode_part
from relabel.job.encoding.encoded import Tensors
from relabel.job.encoding.row import RowEncoder
from relabel.job.engine import engine_of
from relabel.job.forecast.forecast import Fleet, mean_of, store_requests, times_of
from relabel.job.forecast.interval import UNKNOWN, Interval
from relabel.job.forecast.lengths import Lengths
from relabel.job.forecast.rate import Rate, read_rate
from relabel.job.forecast.texts import SampledRow
from relabel.job.job import Job
from relabel.job.rejects.tally import by_code
from relabel.job.sample.draw import Sample, draw_sample
from relabel.job.sample.kept import Between, Forecast
from relabel.job.sample.machine import machine_of
from relabel.job.sample.measure import Measured, measure
from relabel.job.sample.requested import Asked, texts_by_row
from relabel.job.sample.watch import Clock
from relabel.job.stages import block as blocks
from relabel.job.stages.generate import requests_of
from relabel.job.stages.publish import label_unit
from relabel.job.worker import UNITS_AT_ONCE, LoadEngine
from relabel.spec import Query
from relabel.spec.section import column_of
from relabel.version import __version__


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What a prediction is asked to be made from."""

    rows: int
    """Of the sample."""
    seed: int = 0
    """The same seed draws the same rows of the same source."""
    measure: bool = False
    """Whether the sample is generated here."""
    rate: Path | None = None
    """What an earlier run or a benchmark printed, whose speed is taken."""
    gpu: str | None = None
    """The card that the run will have, by its name in the table of cards."""
    load: LoadEngine = field(default=engine_of)
    """What makes the engine."""
    clock: Clock = time.perf_counter
    """What tells the seconds that steps take: processor time, where another program is not to disturb them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What is to be said of a run before it begins."""

    figures: dict[str, object]
    """One flat line of figures."""
    forecast: Forecast
    """What the run is held against at its end."""


def predict(plan: Plan, encoder: RowEncoder, job: Job, ask: Ask, *, rows_left: int, unit_rows: int) -> Prediction:
    """Predict what the `rows_left` rows of a plan take that have no label yet.

    Raises Refused where the sample cannot be read, no card or rate of that name is there, or no model; RunFailed where
    the engine fails.
    """
    spec, queries = job.spec, job.spec.queries
    rate = None if ask.rate is None else read_rate(ask.rate, spec.model.engine)
    sample = draw_sample(plan, encoder, job, ask.rows, ask.seed)
    measured = measure(sample, job, ask.load, unit_rows, ask.clock) if ask.measure else None
    labels = None if measured is None else label_unit(measured.block, job)
    rows = (
        _unmade(sample, job, rate, unit_rows)
        if measured is None or labels is None
        else _made(sample, measured, labels, queries)
    )
    machine = machine_of(spec, ask.gpu, rate, measured and measured.speed, rows)
    fleet = Fleet(
        actors=spec.resources.most_actors,
        gpus=spec.resources.gpus_per_actor,
        unit_rows=unit_rows,
        units_at_once=UNITS_AT_ONCE,
    )
    times = None
    if machine.speed and rows_left:
        times = times_of(rows, rows_left, machine.speed, fleet, ask.seed, looked_at=sample.looked_at)
    reasons = sample.reasons([query.name for query in queries]) if labels is None else _reasons(labels)
    tokens = mean_of(rows, lambda row: row.output_tokens, plan.num_rows, ask.seed, sample.looked_at)
    output = tokens.times(rows_left)
    price = spec.resources.price.gpu_hour
    hours = times.gpu_hours if times else UNKNOWN
    counts, examples = by_code(reason for reason in reasons if reason is not None)
    num_rejected, num_sampled = sum(counts.values()), len(rows)
    figures: dict[str, object] = {
        "rows_left": rows_left,
        "sample": num_sampled,
        "sampled_units": len(set(sample.units)),
        "rows_read": sample.rows_read,
        "seed": ask.seed,
        "prompt_tokens": Lengths.of(sample.lengths).to_json()
        | {
            "total": round(sum(sample.lengths) / sample.looked_at * rows_left),
            "rows": sample.looked_at,
            "labels": len(queries),
        },
        "rejects": {
            "rows": num_rejected,
            "share": round(num_rejected / num_sampled, 4),
            "reasons": {code: {"rows": number, "example": examples[code]} for code, number in counts.items()},
        },
        "output_tokens": {
            "mean": tokens.mid and round(tokens.mid, 1),
            "total": output.to_json(),
            "from": "sample" if ask.measure else "rate" if rate and rate.output_tokens else "most",
        },
        "fits": machine.fits,
        "rows_at_once": times.rows_at_once if times else machine.rows_at_once,
        "gpu": ask.gpu,
        "speed": machine.speed and machine.speed.basis,
        "gpu_hours": hours.to_json(),
        "seconds": (times.seconds if times else UNKNOWN).to_json(),
        "start_seconds": machine.start_seconds and round(machine.start_seconds, 1),
        "dollars": None if price is None else hours.times(price).to_json(),
        "output_bytes": None if labels is None else round(len(encode_part(labels, {})) / num_sampled * rows_left),
        "store_requests": store_requests(-(-rows_left // max(1, plan.num_rows // max(1, plan.num_units)))),
        "remarks": [*machine.notes, *_remarks(sample, measured, plan)],
    }
    forecast = Forecast(
        fingerprint=job.fingerprint,
        version=__version__,
        rows=max(1, rows_left),
        sample=num_sampled,
        speed=machine.speed and machine.speed.basis,
        gpu=ask.gpu,
        gpu_hours=_between(hours),
        seconds=_between(times.seconds if times else UNKNOWN),
        start_seconds=machine.start_seconds,
        output_tokens=_between(output),
        rejected=num_rejected / num_sampled * rows_left,
    )
    return Prediction(figures=figures, forecast=forecast)


def _made(sample: Sample, measured: Measured, labels: pa.Table, queries: Sequence[Query]) -> list[SampledRow]:
    """The rows with the texts that were generated."""
    columns = [labels[column_of(query.name, "output_tokens")].to_pylist() for query in queries]
    return [
        SampledRow(
            drawn=drawn,
            prompt=sample.prompts[row],
            texts=tuple(measured.texts.get(row, ())),
            output_tokens=sum(column[row] or 0 for column in columns),
        )
        for row, drawn in enumerate(sample.draws)
    ]


def _unmade(sample: Sample, job: Job, rate: Rate | None, unit_rows: int) -> list[SampledRow]:
    """The rows with texts as long as an earlier run's were in the mean, else as long as they may be."""
    tensors: list[Tensors] = [{} for _ in sample.units]
    unit = blocks.unit_of(sample.block)
    wanted = [one.request for query in job.spec.queries for one in requests_of(sample.block, unit, query, job, tensors)]
    mean = rate and rate.output_tokens
    each = None if mean is None else mean * len(sample.units) / max(1, len(wanted))
    asked: list[Asked] = []
    for request in wanted:
        most = request.sampling.max_new_tokens if request.sampling else 1
        asked.append(Asked(request=request, most=most, chosen=most if each is None else max(1, min(most, round(each)))))
    texts = texts_by_row(asked, unit_rows)
    return [
        SampledRow(
            drawn=drawn,
            prompt=sample.prompts[row],
            texts=tuple(texts.get(row, ())),
            output_tokens=sum(text.chosen for text in texts.get(row, ())),
        )
        for row, drawn in enumerate(sample.draws)
    ]


def _reasons(labels: pa.Table) -> list[str | None]:
    pairs = zip(labels["status"].to_pylist(), labels["reason"].to_pylist(), strict=True)
    return [reason if status == "rejected" else None for status, reason in pairs]


def _remarks(sample: Sample, measured: Measured | None, plan: Plan) -> list[str]:
    found = [measured.note] if measured and measured.note else []
    if sample.unread:
        found.append(f"{len(sample.unread)} units of the sample cannot be read; the first: {sample.unread[0]}")
    if (num_units := len(set(sample.units))) < plan.num_units:
        found.append(f"{num_units} of {plan.num_units} units were read for the sample, {sample.rows_read} rows")
    return found


def _between(interval: Interval) -> Between:
    return Between(low=interval.low, mid=interval.mid, high=interval.high)
