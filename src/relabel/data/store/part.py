"""The bytes of a part file: Parquet with a checksum for every page, and a stamp and a checksum in the footer.

A flipped bit is either found or changes nothing that is read. Knows bytes and rows, not where they are kept.
"""

# pyarrow has no types, so that nothing that comes from it has one.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false, reportUnknownLambdaType=false
from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from relabel.data.store.fault import first_fault
from relabel.data.store.footer import says_rows, value_in
from relabel.data.store.stamp import Stamp, read_stamp
from relabel.errors import PartDamaged

TAIL = 64 * 2**10
"""Bytes at the end of a part that hold its footer, as a first guess: footers of our parts are some 8 KiB."""
_DAMAGE = (OSError, ValueError, KeyError, pa.ArrowException)
_SEAL = b"relabel.crc32="
_OPEN = b"00000000"


def encode_part(rows: pa.Table, stamp: Mapping[str, object], plain: Sequence[str] = ()) -> bytes:
    """The part file of these rows. Columns in `plain` hold texts no two of which are the same."""
    sink = pa.BufferOutputStream()
    dictionary = [name for name in rows.column_names if name not in plain] if plain else True
    with pq.ParquetWriter(
        sink,
        rows.schema,
        compression="zstd",
        write_page_checksum=True,
        use_dictionary=dictionary,  # pyright: ignore[reportArgumentType]
    ) as writer:
        writer.write_table(rows, row_group_size=max(rows.num_rows, 1))
        writer.add_key_value_metadata({"relabel": json.dumps(stamp, sort_keys=True)})
        writer.add_key_value_metadata({"relabel.seal": (_SEAL + _OPEN).decode()})
    data = bytearray(sink.getvalue())
    footer = data[-footer_size(data) :]
    # Parquet has checksums for pages and none for the footer, where a flipped bit would rename a column or make a
    # reader skip rows. Ours is taken over the footer with zeros in the checksum's place.
    at = len(data) - len(footer) + footer.rfind(_SEAL) + len(_SEAL)
    data[at : at + len(_OPEN)] = b"%08x" % zlib.crc32(footer)
    return bytes(data)


def footer_size(tail: bytes | bytearray | memoryview) -> int:
    """Bytes of the footer, its length and the magic number at the end of the file included."""
    return int.from_bytes(tail[-8:-4], "little") + 8


def decode_stamp(tail: bytes | memoryview, where: str) -> Stamp:
    """The stamp in the last bytes of a part. Raises PartDamaged naming `where`."""
    footer = _sealed(tail, where)
    text = value_in(footer, "relabel")
    if text is None:
        text = decode_footer(tail, where)[1]
    try:
        stamp = read_stamp(text)
    except ValueError as error:
        raise PartDamaged(f"{where} cannot be read back: {first_fault(error)}") from error
    if not says_rows(footer, stamp.num_rows) and (num_rows := decode_footer(tail, where)[0]) != stamp.num_rows:
        raise PartDamaged(f"{where} has {num_rows} rows, its stamp says {stamp.num_rows}")
    return stamp


def decode_footer(tail: bytes | memoryview, where: str) -> tuple[int, bytes]:
    """The number of rows and the stamp as text, by a footer that is as it was written. Raises PartDamaged."""
    _sealed(tail, where)
    try:
        metadata = pq.read_metadata(pa.BufferReader(tail))
        return metadata.num_rows, (metadata.metadata or {})[b"relabel"]
    except _DAMAGE as error:
        raise PartDamaged(f"{where} cannot be read back: {first_fault(error)}") from error


def _sealed(tail: bytes | memoryview, where: str) -> bytearray:
    """The footer, if it is as it was written. Raises PartDamaged."""
    footer = bytearray(tail[-footer_size(tail) :])
    at = footer.rfind(_SEAL) + len(_SEAL)
    if at < len(_SEAL):
        raise PartDamaged(f"{where} has no stamp: it is truncated, or relabel did not write it")
    claimed, footer[at : at + len(_OPEN)] = bytes(footer[at : at + len(_OPEN)]), _OPEN
    if claimed != b"%08x" % zlib.crc32(footer):
        raise PartDamaged(f"{where} has a damaged footer: it does not match its checksum")
    return footer


def decode_table(data: pa.Buffer, schema: pa.Schema, at_most: int, where: str) -> tuple[pa.Table, object]:
    """The rows and the stamp, as plain data. Raises PartDamaged naming `where`, also where the rows are of another
    schema or would take more than `at_most` bytes."""
    _, text = decode_footer(memoryview(data), where)
    try:
        note = json.loads(text)
        with pq.ParquetFile(pa.BufferReader(data)) as file:
            groups = [file.metadata.row_group(k) for k in range(file.metadata.num_row_groups)]
            if not file.schema_arrow.equals(schema) or sum(group.total_byte_size for group in groups) > at_most:
                raise ValueError("it is another table than is asked for")
    except (*_DAMAGE, RecursionError) as error:
        raise PartDamaged(f"{where} cannot be read back: {first_fault(error)}") from error
    return decode_rows(data, where), note


def decode_rows(data: pa.Buffer, where: str) -> pa.Table:
    """All rows of a part, every page checked. Raises PartDamaged naming `where`."""
    try:
        # ParquetFile, not read_table: the latter would make columns of folders named like `day=1`.
        with pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True) as file:
            rows = file.read(use_threads=False)
        rows.validate(full=True)
    except _DAMAGE as error:
        raise PartDamaged(f"{where} cannot be read back: {first_fault(error)}") from error
    return rows
