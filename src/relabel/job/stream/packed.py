"""Blocks of several units in one, each whole: what carries blocks may neither cut nor join it unseen.

Knows Arrow tables; nothing of what is in them.
"""

# pyarrow has no types, so that nothing that comes from it has one.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false, reportUnknownLambdaType=false
from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from relabel.errors import RunFailed

BLOCK, NUMBER = "relabel:block", "relabel:number"


def packed(blocks: Sequence[pa.Table]) -> pa.Table:
    """One table of them: a single block is that already, of several each becomes a row of bytes."""
    if len(blocks) == 1:
        return blocks[0]
    columns = {BLOCK: pa.array(map(_bytes_of, blocks), pa.large_binary()), NUMBER: [len(blocks)] * len(blocks)}
    return pa.table(columns)


def unpacked(table: pa.Table) -> list[pa.Table]:
    """The blocks that were packed. Raises RunFailed where they are not all and alone."""
    if BLOCK not in table.column_names:
        return [table]
    if (number := table[NUMBER][0].as_py()) != table.num_rows:
        raise RunFailed(f"Ray made {table.num_rows} blocks of {number} that travelled together; nothing was written")
    return [pa.ipc.open_stream(block.as_buffer()).read_all() for block in table[BLOCK]]


def _bytes_of(block: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, block.schema) as stream:
        stream.write_table(block)
    return sink.getvalue().to_pybytes()
