"""Rows as a Parquet file, in row groups of a size that readers like. Knows row groups, not what is in them."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

GROUP_BYTES, GROUP_ROWS = 64 * 2**20, 128 * 1024
"""Of a row group, in memory: one is written as soon as it has either."""


class RowGroups:
    """A Parquet file that is written group by group. The same rows make the same bytes, by one version of pyarrow."""

    def __init__(self, file: BinaryIO | Path, schema: pa.Schema, group_bytes: int = GROUP_BYTES) -> None:
        self._writer = pq.ParquetWriter(file, schema, compression="zstd", write_page_checksum=True)
        self._group_bytes = group_bytes
        self._group: list[pa.Table] = []
        self._waiting_rows = self._waiting_bytes = 0
        self.num_bytes = 0
        """Of the rows that are written, in memory."""

    def add(self, rows: pa.Table) -> None:
        """Write the rows, as soon as there are enough for a group."""
        self._group.append(rows)
        self._waiting_rows, self._waiting_bytes = self._waiting_rows + rows.num_rows, self._waiting_bytes + rows.nbytes
        if self._waiting_rows >= GROUP_ROWS or self._waiting_bytes >= self._group_bytes:
            self._write()

    def close(self) -> None:
        """Write what is left, and the end of the file."""
        self._write()
        self._writer.close()

    def _write(self) -> None:
        if self._group:
            rows = pa.concat_tables(self._group)
            self._writer.write_table(rows, row_group_size=max(rows.num_rows, 1))
            self._group.clear()
            self._waiting_rows = self._waiting_bytes = 0
            self.num_bytes += rows.nbytes
