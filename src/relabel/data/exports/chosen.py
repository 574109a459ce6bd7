"""What stands in an export: which rows of an output, and which columns of their source beside theirs.

Reads parts, and the source where its columns or images are asked for; both unit by unit. Knows no format of a file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
from pyarrow.compute import call_function as compute

from relabel.data.exports.again import SourceAgain
from relabel.data.exports.published import published_rows
from relabel.data.output.manifest import Run
from relabel.data.sources.unit import Unit
from relabel.data.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitRows:
    """Rows of one unit."""

    number: int
    """Of the unit in the plan."""
    first: int
    """How many rows of the source stand before it."""
    rows: pa.Table
    """In the schema of the export."""
    places: Sequence[int]
    """The number of each row in the unit."""
    images: Sequence[Sequence[object]]
    """What the image columns hold, column by column; empty where no images were asked for."""


@dataclass(slots=True, kw_only=True)
class ChosenRows:
    """The rows of an output that are exported, in the order of the source."""

    store: Store
    run: Run
    source: SourceAgain | None
    """Where the source is opened again."""
    only_ok: bool
    counts: Counter[str] = field(default_factory=Counter)
    """Rows by status, and `missing`: units without a part that counts, whose rows are not there."""

    @property
    def schema(self) -> pa.Schema:
        """The columns of the source that are joined, then those of the output."""
        joined = self.source.renamed_schema if self.source else pa.schema([])
        return pa.schema([*joined, *self.run.schema])

    def each(self, first: int = 0) -> Iterator[UnitRows]:
        """The rows of each unit from a unit on. Raises SourceUnreadable where a file is not what was labelled."""
        before = 0
        for number, unit in enumerate(self.run.plan.units):
            if number >= first:
                rows = published_rows(self.store, self.run, unit)
                if rows is not None:
                    yield self._selected(number, before, unit, rows)
                elif unit.file.state != "gone":
                    self.counts["missing"] += 1
            before += unit.num_rows

    def _selected(self, number: int, before: int, unit: Unit, rows: pa.Table) -> UnitRows:
        images: list[list[object]] = []
        if self.source is not None:
            again = self.source.read(unit)
            rows = pa.table([*again.kept.columns, *rows.columns], schema=self.schema)
            images = [again.columns[name] for name in self.source.image_columns]
        places = range(rows.num_rows)
        if self.only_ok:
            is_ok = compute("equal", [rows["status"], "ok"])
            places = [place for place, ok in zip(places, is_ok.to_pylist(), strict=True) if ok]
            rows, images = rows.filter(is_ok), [[column[place] for place in places] for column in images]
        self.counts.update(rows["status"].to_pylist())
        return UnitRows(number=number, first=before, rows=rows, places=places, images=images)
