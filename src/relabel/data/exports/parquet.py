"""An export as one Parquet file. Knows row groups, not what is in them."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq

from relabel.data.exports.chosen import ChosenRows
from relabel.data.exports.target import whole

GROUP_BYTES, GROUP_ROWS = 64 * 2**20, 128 * 1024
"""Of a row group, in memory: one is written as soon as it has either."""


def write_parquet(chosen: ChosenRows, target: str) -> None:
    """Write all rows to one file, which is there whole or not at all."""
    schema = chosen.schema
    with whole(target) as file, pq.ParquetWriter(file, schema, compression="zstd", write_page_checksum=True) as writer:
        group: list[pa.Table] = []
        for unit in chosen.each():
            group.append(unit.rows)
            if sum(rows.num_rows for rows in group) >= GROUP_ROWS or sum(rows.nbytes for rows in group) >= GROUP_BYTES:
                _write(writer, group)
        _write(writer, group)


def _write(writer: pq.ParquetWriter, group: list[pa.Table]) -> None:
    if group:
        rows = pa.concat_tables(group)
        writer.write_table(rows, row_group_size=max(rows.num_rows, 1))
        group.clear()
