"""Small plans and the parts that a run would publish for them."""

from collections.abc import Mapping

import pyarrow as pa

from relabel.data.labels.columns import output_schema
from relabel.data.output.binding import open_run
from relabel.data.output.manifest import Run
from relabel.data.quality.figures import Quality
from relabel.data.sources.cutting import Cut
from relabel.data.sources.plan import Plan, PlannedFile
from relabel.data.sources.unit import SourceFile, Unit
from relabel.data.store.objects import Version
from relabel.data.store.stamp import make_stamp
from relabel.data.store.store import Store
from relabel.spec import Label

COLUMNS = pa.schema([("id", pa.string()), ("alt", pa.string())])
SCHEMA = output_schema(pa.schema([COLUMNS.field("id")]), {"": Label(column="caption")})
RECIPE = {"sampling": {"seed": 1}, "label": {"parse": "text", "column": "caption"}, "output": {"keep": ["id"]}}


def planned_file(path: str, num_rows: int, version: str = "1", unit_rows: int = 4) -> PlannedFile:
    file = SourceFile(path=path, url=f"/source/{path}", size=num_rows * 10, version=version)
    ranges = ((first, min(unit_rows, num_rows - first), 0) for first in range(0, num_rows, unit_rows))
    return PlannedFile(file=file, units=Cut(file, ranges))


def make_plan(*files: PlannedFile, unreadable: tuple[tuple[str, str], ...] = ()) -> Plan:
    return Plan(files=files, unreadable=unreadable, columns=COLUMNS)


def begin(store: Store, *files: PlannedFile, recipe: Mapping[str, object] = RECIPE, unreadable=()) -> Run:
    """Begin a run over these files."""
    plan = make_plan(*files, unreadable=unreadable)
    return open_run(store, recipe, unit_rows=4, versions={"ray": "2.60"}, replan=lambda known: plan)


def rows_of(unit: Unit) -> pa.Table:
    """Output rows of a unit; the last row of the unit is a reject."""
    numbers = list(range(unit.first_row, unit.first_row + unit.num_rows))
    last = numbers[-1]
    columns = {
        "source_file": [unit.file.path] * unit.num_rows,
        "source_row": numbers,
        "id": [f"{unit.file.path}#{number}" for number in numbers],
        "caption": [None if number == last else f"label {number}" for number in numbers],
        "text": [None if number == last else f" label {number} " for number in numbers],
        "reasoning": [None] * unit.num_rows,
        "status": ["rejected" if number == last else "ok" for number in numbers],
        "reason": ["image: truncated" if number == last else None for number in numbers],
        "finish_reason": [None if number == last else "stop" for number in numbers],
        "prompt_tokens": [None if number == last else 3 for number in numbers],
        "output_tokens": [None if number == last else 2 for number in numbers],
        "attempts": [None if number == last else 1 for number in numbers],
    }
    return pa.table(columns, schema=SCHEMA)


def publish(
    store: Store,
    unit: Unit,
    fingerprint: str,
    rows: pa.Table | None = None,
    quality: Mapping[str, Quality] = {},
    bad: Version | None = None,
) -> bool:
    rows = rows_of(unit) if rows is None else rows
    return store.publish(unit.part, rows, make_stamp(unit, fingerprint, rows, quality).to_json(), bad)


def flip_bit(path, byte: int, bit: int = 0) -> None:
    data = bytearray(path.read_bytes())
    data[byte] ^= 1 << bit
    path.write_bytes(data)
