"""An output as a few Parquet files of a size that the hub likes, made one after the other. Knows no hub."""

# pyarrow has no types, so that nothing that comes from it has one.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from relabel.data.exports.chosen import ChosenRows

SHARD_BYTES = 500 * 10**6
"""Of rows in memory, before which no file ends: as Parquet some 100 to 500 MB."""
GROUP_BYTES = 64 * 2**20


def shards_of(chosen: ChosenRows, folder: Path, shard_bytes: int = SHARD_BYTES) -> Iterator[Path]:
    """The rows in the order of the source, as files in the folder; each may be deleted before the next is asked for.

    The same rows make the same files, byte for byte, by one version of pyarrow.
    """
    number, writer, written, group = 0, None, 0, list[pa.Table]()
    for unit in chosen.each():
        group.append(unit.rows)
        if sum(rows.nbytes for rows in group) < min(GROUP_BYTES, shard_bytes):
            continue
        writer = writer or _open(folder, number, chosen.schema)
        written += _write(writer, group)
        if written >= shard_bytes:
            writer.close()
            yield folder / _name(number)
            number, writer, written = number + 1, None, 0
    if group or number == 0:
        writer = writer or _open(folder, number, chosen.schema)
        _write(writer, group)
    if writer is not None:
        writer.close()
        yield folder / _name(number)


def _name(number: int) -> str:
    return f"labels-{number:05d}.parquet"


def _open(folder: Path, number: int, schema: pa.Schema) -> pq.ParquetWriter:
    return pq.ParquetWriter(folder / _name(number), schema, compression="zstd", write_page_checksum=True)


def _write(writer: pq.ParquetWriter, group: list[pa.Table]) -> int:
    rows = pa.concat_tables(group) if group else None
    if rows is not None and rows.num_rows:
        writer.write_table(rows, row_group_size=rows.num_rows)
    group.clear()
    return rows.nbytes if rows is not None else 0
