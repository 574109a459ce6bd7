"""Parquet: units follow row groups; only the needed columns are read; page checksums are verified.

Nothing a file says about Python or extension types is acted on: the Arrow schema that writers embed is hidden from the
reader, so types are those of Parquet itself, and no extension type is ever made.
"""

# pyarrow has no types, so that nothing that comes from it has one.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false, reportUnknownLambdaType=false
from __future__ import annotations

import bisect
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress

import pyarrow as pa
import pyarrow.parquet as pq

from relabel.data.sources import files, streams
from relabel.data.sources.cutting import cut_groups
from relabel.data.sources.formats.format import Scanned, one_each, takes_all
from relabel.data.sources.formats.parquet_footer import (
    check_extensions,
    group_rows_of,
    group_starts,
    names_of,
    read_footer,
)
from relabel.data.sources.types import arrow_union
from relabel.data.sources.unit import Rows, SourceFile, Unit
from relabel.data.sources.values import Misfits, make_table
from relabel.errors import SourceUnreadable
from relabel.rejected import Code, Rejected
from relabel.spec import Source

SUFFIXES = (".parquet", ".parq", ".pq")

takes, group, union = takes_all, one_each, arrow_union


def scan(file: SourceFile, source: Source, unit_rows: int, needed: Collection[str] | None = None) -> Scanned:
    with files.reading(file), files.open_file(file.url) as handle:
        footer = read_footer(handle)
        if needed:
            check_extensions(file, footer, needed)
        columns = [(field.name, field.type) for field in footer.schema.to_arrow_schema()]
        return Scanned(units=cut_groups(file, group_rows_of(footer), unit_rows), columns=pa.schema(columns))


def read(unit: Unit, source: Source, columns: Sequence[str], kept: pa.Schema) -> Rows:
    files.check_unchanged(unit.file)
    remarks: list[str | None] = [None] * unit.num_rows
    if not columns and not kept.names:
        return Rows(
            columns={}, reasons=[None] * unit.num_rows, kept=make_table([], kept, unit.num_rows), remarks=remarks
        )
    with files.reading(unit.file):
        own = names_of(unit.file)
        # a column that is kept alone may be missing: files of last year have fewer
        needed = tuple(dict.fromkeys([*columns, *(name for name in kept.names if name in own)]))
        if not needed:
            empty = [pa.nulls(unit.num_rows, field.type) for field in kept]
            table = make_table(empty, kept, unit.num_rows)
            return Rows(columns={}, reasons=[None] * unit.num_rows, kept=table, remarks=remarks)
        earliest = group_starts(unit.file)[_group_of(unit)]
        with streams.borrowed((unit.file, needed), earliest, unit.first_row, lambda: _Stream(unit, needed)) as stream:
            return _rows(stream.take(unit), columns, kept)


class _Stream:
    """The rows of some columns of one file, from the row group that holds the unit's first row on."""

    def __init__(self, unit: Unit, needed: tuple[str, ...]) -> None:
        self._handle = files.open_file(unit.file.url)
        metadata = read_footer(self._handle)
        reader = pq.ParquetFile(
            self._handle,
            metadata=metadata,
            page_checksum_verification=True,
            pre_buffer=False,
            buffer_size=4 * 2**20,
            arrow_extensions_enabled=False,
        )
        _check_columns(unit.file, reader, needed)
        group = _group_of(unit)
        self.position = group_starts(unit.file)[group]
        self._needed = list(needed)
        self._batches = reader.iter_batches(
            batch_size=unit.num_rows,
            row_groups=range(group, metadata.num_row_groups),
            columns=self._needed,
            use_threads=False,
        )
        self._rest: pa.RecordBatch | None = None

    def take(self, unit: Unit) -> pa.Table:
        while self.position < unit.first_row:
            self._next(unit, unit.first_row - self.position)
        batches, missing = [], unit.num_rows
        while missing:
            batches.append(self._next(unit, missing))
            missing -= batches[-1].num_rows
        return pa.Table.from_batches(batches)

    def _next(self, unit: Unit, num_rows: int) -> pa.RecordBatch:
        batch = next(self._batches, None) if self._rest is None else self._rest
        if batch is None:
            raise SourceUnreadable(f"{unit.file.url} holds fewer rows than its footer says; replace it")
        self._rest = batch.slice(num_rows) if batch.num_rows > num_rows else None
        batch = batch.slice(0, num_rows).select(self._needed)
        self.position += batch.num_rows
        return batch

    def close(self) -> None:
        self._batches.close()
        self._handle.close()


def _rows(table: pa.Table, columns: Sequence[str], kept: pa.Schema) -> Rows:
    reasons: list[Rejected | None] = [None] * table.num_rows
    sound: dict[str, pa.ChunkedArray] = {}
    values: dict[str, list[object]] = {}
    misfits = Misfits(table.num_rows)
    for name in table.column_names:
        sound[name], bad = _without_bad_text(table.column(name))
        for row in bad:
            if name in columns:
                reasons[row] = reasons[row] or Rejected(Code.SOURCE, f"column {name} holds invalid UTF-8")
            else:
                misfits.add(row, f"column {name} holds invalid UTF-8")
    for name in columns:
        values[name] = _to_python(sound[name])
        for row, value in enumerate(values[name]):
            if isinstance(value, _Unreadable):
                reasons[row] = reasons[row] or Rejected(Code.SOURCE, f"column {name} holds a value out of range")
    arrays = [
        _cast(sound[field.name], field, misfits) if field.name in sound else pa.nulls(table.num_rows, field.type)
        for field in kept
    ]
    return Rows(
        columns={
            name: [value if why is None else None for value, why in zip(values[name], reasons, strict=True)]
            for name in columns
        },
        reasons=reasons,
        kept=make_table(arrays, kept, table.num_rows),
        remarks=misfits.remarks,
    )


class _Unreadable:
    """Stands for a value that Python cannot hold, as a date after the year 9999."""


def _without_bad_text(column: pa.ChunkedArray) -> tuple[pa.ChunkedArray, list[int]]:
    """The column with null in place of text that is not UTF-8, and where that was."""
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        bad = [row for row in range(len(column)) if not _is_text(column[row])]
        if not bad:
            raise
        column = column.take(pa.array([None if row in set(bad) else row for row in range(len(column))], pa.int64()))
        return column, bad
    return column, []


def _is_text(scalar: pa.Scalar) -> bool:
    try:
        scalar.as_py()
    except UnicodeDecodeError:
        return False
    except (ValueError, OverflowError):
        return True
    return True


def _to_python(column: pa.ChunkedArray) -> list[object]:
    with suppress(ValueError, OverflowError):
        return column.to_pylist()
    values = []
    for scalar in column:
        try:
            values.append(scalar.as_py())
        except (ValueError, OverflowError):
            values.append(_Unreadable())
    return values


def _cast(column: pa.ChunkedArray, field: pa.Field, misfits: Misfits) -> pa.ChunkedArray:
    """The column in the run's type: null, with a remark, where a value would lose something by it."""
    if column.type == field.type:
        return column
    if pa.types.is_integer(column.type) and pa.types.is_decimal(field.type):
        with suppress(pa.ArrowException):  # Arrow asks whether the widest integer would fit, and not whether these do
            return column.cast(pa.decimal128(38, field.type.scale)).cast(field.type, safe=True)
    if not _is_parsed(column.type, field.type):
        with suppress(pa.ArrowException):
            return column.cast(field.type, safe=True)
    values: list[pa.Scalar] = []
    for row, scalar in enumerate(column):
        values.append(_cast_value(scalar, field.type))
        if scalar.is_valid and not values[-1].is_valid:
            misfits.add(row, f"column {field.name} is not {field.type}")
    return pa.chunked_array([pa.array(values, field.type)])


def _cast_value(scalar: pa.Scalar, kind: pa.DataType) -> pa.Scalar:
    with suppress(pa.ArrowException):
        if pa.types.is_integer(scalar.type) and pa.types.is_decimal(kind):
            return scalar.cast(pa.decimal128(38, kind.scale)).cast(kind, safe=True)
        if not _is_parsed(scalar.type, kind):
            return scalar.cast(kind, safe=True)
    return pa.scalar(None, kind)


def _is_parsed(one: pa.DataType, other: pa.DataType) -> bool:
    """Whether a cast would read numbers or dates out of texts."""
    return (pa.types.is_string(one) or pa.types.is_binary(one)) and not (
        pa.types.is_string(other) or pa.types.is_binary(other) or pa.types.is_large_string(other)
    )


def _check_columns(file: SourceFile, reader: pq.ParquetFile, needed: Iterable[str]) -> None:
    names = reader.schema_arrow.names
    needed = list(needed)
    for name in needed:
        if names.count(name) != 1:
            problem = "has no column" if name not in names else "has more than one column"
            raise SourceUnreadable(f"{file.url} {problem} {name}; correct it or take the file away")
    check_extensions(file, reader.metadata, needed)


def _group_of(unit: Unit) -> int:
    return bisect.bisect_right(group_starts(unit.file), unit.first_row) - 1
