"""What a user sees of an output folder: read with pyarrow alone, as an independent check of relabel's own audit."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def rows_of(folder: Path) -> list[dict]:
    """Every row of every visible part, by source file and row.

    Each part by one look: pyarrow's datasets open a file twice, for its footer and for its pages, and a part that a
    retry replaces in between is two files by then.
    """
    parts = [path for path in Path(folder).rglob("*.parquet") if not path.name.startswith(("_", "."))]
    parts = [path for path in parts if not any(step.startswith(("_", ".")) for step in path.relative_to(folder).parts)]
    files = [pa.BufferReader(path.read_bytes()) for path in parts]
    tables = [pq.ParquetFile(file, page_checksum_verification=True).read() for file in files]
    rows = pa.concat_tables(tables).to_pylist() if tables else []
    return sorted(rows, key=lambda row: (row["source_file"], row["source_row"]))


def assert_every_row_once(folder: Path, expected: dict[str, int]) -> list[dict]:
    """Each file's rows 0..n-1 are there exactly once; returns the rows."""
    rows = rows_of(folder)
    found = [(row["source_file"], row["source_row"]) for row in rows]
    assert found == [(file, row) for file in sorted(expected) for row in range(expected[file])]
    return rows
