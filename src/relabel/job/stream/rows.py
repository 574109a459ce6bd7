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

UNIT = "unit"


def rows_of(units: Sequence[Unit]) -> pa.Table:
    """A row for each unit, in order."""
    return pa.table({UNIT: pa.array([text_of(unit) for unit in units], pa.string())})


def unit_of_row(row: pa.Table) -> Unit:
    """The unit of a table of one row. Raises RunFailed where it is not one: each unit is a piece of work of its own."""
    if row.num_rows != 1:
        raise RunFailed(f"Ray handed out {row.num_rows} units as one; nothing of them was written")
    return unit_of_text(row[UNIT][0].as_py())


def text_of(unit: Unit) -> str:
    """A unit as JSON, the same for equal units."""
    return json.dumps(asdict(unit), sort_keys=True)


def unit_of_text(text: str) -> Unit:
    """The unit that `text_of` made a text of."""
    fields = json.loads(text)
    return Unit(**{**fields, "file": SourceFile(**fields["file"])})
