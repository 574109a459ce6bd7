"""A run cut into its steps, for tests in which other processes come between any two of them.

Whole runs are those of `relabel.run`: see `tests.faults.job`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from relabel.data.labels.columns import output_schema
from relabel.data.output.audit import conclude, resume
from relabel.data.output.binding import open_run
from relabel.data.output.manifest import Run
from relabel.data.output.report import Report
from relabel.data.sources import read
from relabel.data.sources.planning import make_plan
from relabel.data.sources.unit import Unit
from relabel.data.store.failpoints import OnFailpoint, pass_by
from relabel.data.store.objects import Version
from relabel.data.store.stamp import make_stamp
from relabel.data.store.store import Store
from relabel.spec import Label, Source

UNIT_ROWS = 3
KEPT = pa.schema([("id", pa.string())])
SCHEMA = output_schema(KEPT, {"": Label(column="caption")})


class Job:
    """One process's view of a run into one output."""

    def __init__(self, output: str, source: Path, on_failpoint: OnFailpoint = pass_by, seed: int = 1) -> None:
        self.store = Store(output, on_failpoint=on_failpoint)
        self._source = Source(path=str(source / "*.jsonl"), format="jsonl")
        self.recipe: dict[str, Any] = {
            "sampling": {"seed": seed},
            "label": {"parse": "text", "column": "caption"},
            "output": {"keep": ["id"]},
        }
        self.run: Run
        self.todo: list[Unit] = []
        self.bad: Mapping[str, Version] = {}

    @property
    def units(self) -> list[Unit]:
        return list(self.run.plan.units)

    def start(self, *, redo_changed: bool = False) -> None:
        """What a run does before any work."""
        self.run = open_run(
            self.store,
            self.recipe,
            unit_rows=UNIT_ROWS,
            versions={},
            replan=lambda known: make_plan(self._source, UNIT_ROWS, known and known.plan, redo_changed=redo_changed),
        )
        found = resume(self.run.plan, self.store, self.run.fingerprint)
        self.bad, published = found.bad, {unit.part for unit in found.done}
        self.todo = [unit for unit in self.units if unit.part not in published]

    def publish(self, unit: Unit) -> bool:
        rows = self.rows_of(unit)
        return self.store.publish(unit.part, rows, self._stamp(unit, rows), self.bad.get(unit.part))

    def retry(self, unit: Unit) -> None:
        """Labels for what was rejected, into the part as it is now."""
        while True:
            part = self.store.read(unit.part)
            rows = self._labelled(part.rows)
            if rows.equals(part.rows):
                return
            if self.store.replace(unit.part, rows, self._stamp(unit, rows), part.version):
                return

    def finish(self) -> Report:
        return conclude(self.run.plan, self.store, self.run.fingerprint)

    def to_the_end(self, *, retry: bool = False) -> Report:
        """The whole of a run, and of a retry after it."""
        self.start(redo_changed=True)
        for unit in self.todo:
            self.publish(unit)
        report = self.finish()
        if retry:
            for unit in self.units:
                self.retry(unit)
            report = self.finish()
        return report

    def rows_of(self, unit: Unit) -> pa.Table:
        """The output rows of a unit: their labels say of which recipe and row they are."""
        found = read(unit, self._source, ["alt"], KEPT)
        columns: dict[str, Any] = {
            **{name: [None] * unit.num_rows for name in SCHEMA.names},
            "source_file": [unit.file.path] * unit.num_rows,
            "source_row": list(range(unit.first_row, unit.first_row + unit.num_rows)),
            "status": ["ok" if reason is None else "rejected" for reason in found.reasons],
            "reason": [reason and str(reason) for reason in found.reasons],
            "id": found.kept["id"],
        }
        texts = [None if alt is None else f"{self.recipe['sampling']['seed']}: {alt}" for alt in found.columns["alt"]]
        return pa.table({**columns, "caption": texts, "text": texts}, schema=SCHEMA)

    def _labelled(self, rows: pa.Table) -> pa.Table:
        records: list[Mapping[str, Any]] = [
            row | {"status": "ok", "reason": None, "caption": "again", "text": "again"}
            if row["status"] == "rejected"
            else row
            for row in rows.to_pylist()
        ]
        return pa.Table.from_pylist(list(records), schema=SCHEMA)

    def _stamp(self, unit: Unit, rows: pa.Table) -> Mapping[str, Any]:
        return make_stamp(unit, self.run.fingerprint, rows).to_json()
