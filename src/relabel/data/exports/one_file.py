"""An export as one file of JSON lines, one object a row, or of Parquet. Knows both formats, not what rows hold.

The same call goes on where one was killed, and the same rows make the same bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing

import pyarrow as pa

from relabel.data.exports.chosen import ChosenRows
from relabel.data.exports.parquet import RowGroups
from relabel.data.exports.pieces import write_in_pieces
from relabel.data.exports.plain import lines_of
from relabel.data.exports.target import whole


def write_jsonl(chosen: ChosenRows, target: str, what: str, piece_bytes: int) -> Counter[str]:
    """Write all rows to one file, which is there whole or not at all: see `write_in_pieces`."""

    def join(pieces: Iterator[bytes]) -> None:
        with whole(target) as file:
            for piece in pieces:
                file.write(piece)

    return write_in_pieces(chosen, target, what, _lines, join, piece_bytes)


def write_parquet(chosen: ChosenRows, target: str, what: str, piece_bytes: int) -> Counter[str]:
    """Write all rows to one file, which is there whole or not at all: see `write_in_pieces`."""

    def join(pieces: Iterator[bytes]) -> None:
        with whole(target) as file, closing(RowGroups(file, chosen.schema)) as groups:
            for piece in pieces:
                groups.add(pa.ipc.open_file(pa.py_buffer(piece)).read_all())

    return write_in_pieces(chosen, target, what, _as_ipc, join, piece_bytes)


def _lines(rows: pa.Table) -> bytes:
    return b"".join(line + b"\n" for line in lines_of(rows))


def _as_ipc(rows: pa.Table) -> bytes:
    """Arrow's own form, which costs less than Parquet to write and to read once more."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, rows.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
        writer.write_table(rows)
    return sink.getvalue().to_pybytes()
