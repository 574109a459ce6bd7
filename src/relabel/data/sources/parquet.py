"""Parquet: units follow row groups; only the needed columns are read; page checksums are verified.

Nothing a file says about Python or extension types is acted on: the Arrow schema that writers embed is hidden from the
reader, so types are those of Parquet itself, and no extension type is ever made.
"""

# pyarrow has no types, so that nothing that comes from it has one.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false, reportUnknownLambdaType=false
from __future__ import annotations

import base64
import binascii
import bisect
import functools
import itertools
from collections.abc import Iterable, Sequence
from contextlib import suppress

import pyarrow as pa
import pyarrow.parquet as pq

from relabel.data.sources import files, streams
from relabel.data.sources.cutting import cut_groups
from relabel.data.sources.unit import Rows, SourceFile, Unit
from relabel.data.sources.values import make_table
from relabel.errors import SourceUnreadable
from relabel.rejected import Code, Rejected
from relabel.spec import Source

SUFFIXES = (".parquet",)

_MAGIC, _TAIL_BYTES = b"PAR1", 2**16
_PLAIN_EXTENSIONS = frozenset((b"arrow.json",))
"""Extension types whose storage is just what a reader wants: text."""


def scan(file: SourceFile, source: Source, unit_rows: int) -> list[Unit]:
    with files.reading(file), files.open_file(file.url) as handle:
        return cut_groups(file, _group_rows(_footer(handle)), unit_rows)


def columns_of(file: SourceFile, source: Source) -> pa.Schema:
    with files.reading(file), files.open_file(file.url) as handle:
        return pa.schema([(field.name, field.type) for field in _footer(handle).schema.to_arrow_schema()])


def read(unit: Unit, source: Source, columns: Sequence[str], kept: pa.Schema) -> Rows:
    needed = tuple(dict.fromkeys([*columns, *kept.names]))
    if not needed:
        return Rows(columns={}, reasons=[None] * unit.num_rows, kept=make_table([], kept, unit.num_rows))
    with files.reading(unit.file):
        earliest = _group_starts(unit.file)[_group_of(unit)]
        with streams.borrowed((unit.file, needed), earliest, unit.first_row, lambda: _Stream(unit, needed)) as stream:
            return _rows(unit, stream.take(unit), columns, kept)


class _Stream:
    """The rows of some columns of one file, from the row group that holds the unit's first row on."""

    def __init__(self, unit: Unit, needed: tuple[str, ...]) -> None:
        self._handle = files.open_file(unit.file.url)
        metadata = _footer(self._handle)
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
        self.position = _group_starts(unit.file)[group]
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


def _rows(unit: Unit, table: pa.Table, columns: Sequence[str], kept: pa.Schema) -> Rows:
    reasons: list[Rejected | None] = [None] * table.num_rows
    sound: dict[str, pa.ChunkedArray] = {}
    values: dict[str, list[object]] = {}
    for name in table.column_names:
        sound[name], bad = _without_bad_text(table.column(name))
        for row in bad:
            reasons[row] = reasons[row] or Rejected(Code.SOURCE, f"column {name} holds invalid UTF-8")
    for name in columns:
        values[name] = _to_python(sound[name])
        for row, value in enumerate(values[name]):
            if isinstance(value, _Unreadable):
                reasons[row] = reasons[row] or Rejected(Code.SOURCE, f"column {name} holds a value out of range")
    arrays = [_cast(unit.file, sound[field.name], field) for field in kept]
    return Rows(
        columns={
            name: [value if why is None else None for value, why in zip(values[name], reasons, strict=True)]
            for name in columns
        },
        reasons=reasons,
        kept=make_table(arrays, kept, table.num_rows),
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


def _cast(file: SourceFile, column: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    """The column in the run's type, where nothing is lost by it."""
    if column.type == field.type:
        return column
    try:
        if pa.types.is_string(column.type) or pa.types.is_binary(column.type):
            raise pa.ArrowInvalid("text is not parsed")
        return column.cast(field.type, safe=True)
    except pa.ArrowException as error:
        raise SourceUnreadable(
            f"{file.url}: column {field.name} is {column.type} but {field.type} in the files before it; "
            f"make them the same or leave it out of output.keep"
        ) from error


def _check_columns(file: SourceFile, reader: pq.ParquetFile, needed: Iterable[str]) -> None:
    names = reader.schema_arrow.names
    extensions = _extensions(reader.metadata)
    for name in needed:
        if names.count(name) != 1:
            problem = "has no column" if name not in names else "has more than one column"
            raise SourceUnreadable(f"{file.url} {problem} {name}; correct it or take the file away")
        if kind := extensions.get(name):
            raise SourceUnreadable(
                f"{file.url}: column {name} has the extension type {kind}, never loaded; write it as a plain type"
            )


def _extensions(metadata: pq.FileMetaData) -> dict[str, str]:
    """The columns that their writer declared as extension types, without making one."""
    try:
        hidden = base64.b64decode((metadata.metadata or {}).get(b"ARROW_schema", b""))
    except binascii.Error as error:
        raise OSError("its footer is damaged") from error
    if b"ARROW:extension:name" not in hidden:
        return {}
    schema = pa.ipc.read_schema(pa.py_buffer(hidden.replace(b"ARROW:extension:name", b"ARROW_extension:name")))
    kinds = {field.name: _extension_in(field) for field in schema}
    return {name: kind for name, kind in kinds.items() if kind}


def _extension_in(field: pa.Field) -> str | None:
    kind = (field.metadata or {}).get(b"ARROW_extension:name")
    if kind is not None and kind not in _PLAIN_EXTENSIONS:
        return kind.decode(errors="replace")
    inner = (field.type.field(k) for k in range(field.type.num_fields))
    return next((kind for child in inner if (kind := _extension_in(child))), None)


def _group_of(unit: Unit) -> int:
    return bisect.bisect_right(_group_starts(unit.file), unit.first_row) - 1


@functools.lru_cache(maxsize=64)
def _group_starts(file: SourceFile) -> tuple[int, ...]:
    """The first row of each row group: a reader can begin there."""
    with files.open_file(file.url) as handle:
        return tuple(itertools.accumulate(_group_rows(_footer(handle))[:-1], initial=0))


def _group_rows(metadata: pq.FileMetaData) -> list[int]:
    group_rows = [metadata.row_group(k).num_rows for k in range(metadata.num_row_groups)]
    if any(not 0 <= num_rows < 2**31 for num_rows in group_rows) or sum(group_rows) != metadata.num_rows:
        raise OSError("the numbers of rows in its footer do not add up")
    return group_rows


def _footer(handle: pa.NativeFile) -> pq.FileMetaData:
    """The footer, with the embedded Arrow schema renamed so that it is data and nothing more."""
    size = handle.size()
    tail = handle.read_at(min(size, _TAIL_BYTES), max(0, size - _TAIL_BYTES))
    if not tail.endswith(_MAGIC) or len(tail) < 12:
        raise OSError("it does not end as a Parquet file does: it is cut short or of another format")
    length = int.from_bytes(tail[-8:-4], "little") + 8
    if length + 4 > size:
        raise OSError("its footer is longer than the file")
    if length > len(tail):
        tail = handle.read_at(length, size - length)
    footer = tail[-length:].replace(b"ARROW:schema", b"ARROW_schema")
    return pq.read_metadata(pa.BufferReader(_MAGIC + footer))
