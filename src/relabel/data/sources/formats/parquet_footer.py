"""The footer of a Parquet file: its columns, its row groups, and which columns are of extension types.

The Arrow schema that writers embed is hidden from the reader, so types are those of Parquet itself, and no extension
type is ever made. Reads no row.
"""

# pyarrow has no types, so that nothing that comes from it has one.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false, reportUnknownLambdaType=false
from __future__ import annotations

import base64
import binascii
import functools
import itertools
from collections.abc import Collection

import pyarrow as pa
import pyarrow.parquet as pq

from relabel.data.sources import files
from relabel.data.sources.unit import SourceFile
from relabel.errors import SourceUnreadable

_MAGIC, _TAIL_BYTES = b"PAR1", 2**16
_PLAIN_EXTENSIONS = frozenset((b"arrow.json", b"arrow.uuid", b"arrow.bool8", b"arrow.fixed_shape_tensor"))
"""Extension types of Arrow itself whose storage is just what a reader wants: text, bytes, numbers, lists of these."""


@functools.lru_cache(maxsize=64)
def group_starts(file: SourceFile) -> tuple[int, ...]:
    """The first row of each row group: a reader can begin there."""
    with files.open_file(file.url) as handle:
        return tuple(itertools.accumulate(group_rows_of(read_footer(handle))[:-1], initial=0))


def group_rows_of(metadata: pq.FileMetaData) -> list[int]:
    group_rows = [metadata.row_group(k).num_rows for k in range(metadata.num_row_groups)]
    if any(not 0 <= num_rows < 2**31 for num_rows in group_rows) or sum(group_rows) != metadata.num_rows:
        raise OSError("the numbers of rows in its footer do not add up")
    return group_rows


def read_footer(handle: pa.NativeFile) -> pq.FileMetaData:
    """The footer, with the embedded Arrow schema renamed so that it is data and nothing more."""
    size = handle.size()
    tail = handle.read_at(min(size, _TAIL_BYTES), max(0, size - _TAIL_BYTES))
    if not tail.endswith(_MAGIC) or len(tail) < 12:
        files.check_kind(handle.read_at(min(size, 1024), 0), "parquet")
        raise OSError("it does not end as a Parquet file does: it is cut short or of another format")
    length = int.from_bytes(tail[-8:-4], "little") + 8
    if length + 4 > size:
        raise OSError("its footer is longer than the file")
    if length > len(tail):
        tail = handle.read_at(length, size - length)
    footer = tail[-length:].replace(b"ARROW:schema", b"ARROW_schema")
    return pq.read_metadata(pa.BufferReader(_MAGIC + footer))


@functools.lru_cache(maxsize=64)
def names_of(file: SourceFile) -> frozenset[str]:
    with files.open_file(file.url) as handle:
        return frozenset(read_footer(handle).schema.to_arrow_schema().names)


def check_extensions(file: SourceFile, metadata: pq.FileMetaData, needed: Collection[str]) -> None:
    """Raise SourceUnreadable where one of these columns is of an extension type."""
    kinds = extensions_of(metadata)
    for name in kinds.keys() & set(needed):
        raise SourceUnreadable(
            f"{file.url}: column {name} has the extension type {kinds[name]}, never loaded; write it as a plain type"
        )


def extensions_of(metadata: pq.FileMetaData) -> dict[str, str]:
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
