"""Units as the rows of an Arrow table: how they travel before they are read, and how a block says whose it is.

Knows units; nothing of what is read of them, nor of who carries the table.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

import pyarrow as pa

from relabel.data.sources.unit import SourceFile, Unit
from relabel.errors import RunFailed

HANDFUL = "units"


def rows_of(handfuls: Sequence[str]) -> pa.Table:
    """A row for each handful of units, by the text of it, in order."""
    return pa.table({HANDFUL: pa.array(handfuls, pa.string())})


def units_of_row(row: pa.Table) -> list[Unit]:
    """The units of a table of one row. Raises RunFailed where it is not one: each is a piece of work of its own."""
    if row.num_rows != 1:
        raise RunFailed(f"Ray handed out {row.num_rows} handfuls of units as one; nothing of them was written")
    return [
        Unit(file=file, index=index, first_row=first_row, num_rows=num_rows, offset=offset)
        for fields, ranges in json.loads(row[HANDFUL][0].as_py())
        for file in [SourceFile(**fields)]
        for index, first_row, num_rows, offset in ranges
    ]


def text_of_handful(units: Sequence[Unit]) -> str:
    """Units as JSON, those of one file together."""
    files: list[tuple[SourceFile, list[tuple[int, int, int, int]]]] = []
    for unit in units:
        if not files or files[-1][0] is not unit.file:
            files.append((unit.file, []))
        files[-1][1].append((unit.index, unit.first_row, unit.num_rows, unit.offset))
    return json.dumps([(asdict(file), ranges) for file, ranges in files])


def text_of(unit: Unit) -> str:
    """A unit as JSON, the same for equal units."""
    return json.dumps(asdict(unit), sort_keys=True)


def unit_of_text(text: str) -> Unit:
    """The unit that `text_of` made a text of."""
    fields = json.loads(text)
    return Unit(**{**fields, "file": SourceFile(**fields["file"])})
