"""`relabel report`: the figures of an output and a sample of its rows, also while a run is at work.

Figures come from stamps and documents; rows are read from a bounded number of parts, and a bounded number of rows from
their source. Loads no model and writes nothing but the page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import cast

from relabel.data.output.manifest import RUN, Run, read_gates, run_of
from relabel.data.output.recipe import fields_of
from relabel.data.output.status import Status
from relabel.data.output.status import status as status_of
from relabel.data.runs.heard import Runs
from relabel.data.store.store import Store
from relabel.errors import SpecError
from relabel.job.sample.kept import read_forecast
from relabel.report.figures import Limit, Reason, State, against, limits_of, reasons_of, state_of
from relabel.report.histogram import Histogram, Times, histogram, times
from relabel.report.labelled import labelled
from relabel.report.origin import Origin
from relabel.report.page import PICTURE_BYTES, Page
from relabel.report.row import Row
from relabel.report.sample import Drawn, draw
from relabel.spec import Spec, make_spec

NUM_ROWS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What is known of an output, for a person."""

    url: str
    run: Run
    spec: Spec
    """As it was when the output was begun, with the limits of the newest run."""
    state: State
    status: Status
    limits: Sequence[Limit]
    reasons: Sequence[Reason]
    histograms: Sequence[Histogram]
    times: Sequence[Times]
    """Of all units that runs of earlier versions did not do; empty where there are none."""
    forecast: Mapping[str, object] | None
    """What was predicted beside what the runs took."""
    rows: Sequence[Row]
    num_parts: int
    """That were read for the rows."""

    def to_json(self) -> dict[str, object]:
        """The figures, without a text of a row: they end in logs."""
        return {
            "state": self.state,
            **self.status.to_json(),
            "limits": [{**asdict(one), "exceeded": one.is_exceeded} for one in self.limits],
            "rejects": [_without_texts(asdict(one)) for one in self.reasons],
            "histograms": [one.to_json() for one in self.histograms],
            "times": [one.to_json() for one in self.times],
            "forecast": self.forecast,
            "sample": {"rows": len(self.rows), "parts": self.num_parts},
        }

    def write(self, path: Path) -> dict[str, object]:
        """Write the page, whole or not at all: the figures, and what of the page there is. Raises StoreFailed."""
        page = Page(
            title="/".join(self.url.rstrip("/").split("/")[-2:]),
            rows=self.rows,
            facts={"report": self, "spec": self.spec},
        )
        return {**self.to_json(), "page": page.write(path)}


def _without_texts(reason: dict[str, object]) -> dict[str, object]:
    examples = cast(Sequence[Mapping[str, object]], reason["examples"])
    return {**reason, "examples": [{k: v for k, v in one.items() if k != "text"} for one in examples]}


def report(url: str, *, num_rows: int = NUM_ROWS, old: str | None = None, seed: int = 0) -> Report:
    """What is known of the output at `url`, with so many of its rows, which the same seed draws again.

    `old` is the column that labels are shown against, by default that of `label.compare_to`. Raises Refused where no
    run was begun, and SpecError where there is no such column.
    """
    store = Store(url, create=False)
    run = run_of(store)
    gates = {name: gate.model_dump() for name, gate in read_gates(store).items()}
    spec = make_spec(fields_of(run.recipe, gates, store.url), f"{store.url}/{RUN}")
    if old is not None and old not in (known := {*run.plan.columns.names, *run.kept.names}):
        raise SpecError(f"--old names {old!r}, and the source has no such column: it has {', '.join(sorted(known))}")
    found, forecast = status_of(store), read_forecast(store, run.fingerprint)
    sample = draw(store, run, spec.queries, found.report.quality, num_rows, seed)
    olds = {query.name: old or query.label.compare_to for query in spec.queries}
    rows = _read_again(sample.rows, spec, run, olds)
    return Report(
        url=store.url,
        run=run,
        spec=spec,
        state=state_of(found),
        status=found,
        limits=list(limits_of(found, spec.queries)),
        reasons=reasons_of(found.report.reasons, rows),
        histograms=[one for name, numbers in sample.lengths.items() if (one := histogram(name, numbers))],
        times=_times(found.runs),
        forecast=forecast and against(forecast, found.runs),
        rows=rows,
        num_parts=sample.num_parts,
    )


def _times(runs: Runs) -> list[Times]:
    """What all runs say of how long units and rows took."""
    beats = [one.beat for one in runs.heard]
    found = [
        times("seconds of a unit at an engine", [beat.unit_seconds for beat in beats]),
        times("seconds of a row, its share of its unit", [beat.row_seconds for beat in beats]),
    ]
    return [one for one in found if one is not None]


def _read_again(drawn: Sequence[Drawn], spec: Spec, run: Run, olds: Mapping[str, str | None]) -> list[Row]:
    """The rows as the page shows them, with what their source has of them, a unit at a time."""
    beside = [column for column in olds.values() if column is not None]
    origin = Origin(spec, run.plan.columns.names, beside, room=PICTURE_BYTES // max(1, len(drawn)))
    rows = list[Row]()
    for unit, group in groupby(drawn, key=lambda one: one.unit):
        some = list(group)
        again = origin.read(unit, [one.number for one in some])
        rows += (
            labelled(one, spec.queries, run.kept.names, found, olds) for one, found in zip(some, again, strict=True)
        )
    return rows
