"""When a block was ready for an engine, as a column of it. Knows Arrow tables; nothing of what is in them."""

from __future__ import annotations

import time

import pyarrow as pa

PREPARED = "relabel:prepared"


def as_prepared(block: pa.Table) -> pa.Table:
    """The block with the time that it is now."""
    return block.append_column(PREPARED, pa.array([time.time()] * block.num_rows, pa.float64()))


def prepared_of(block: pa.Table) -> float:
    """In seconds since 1970; now, where nobody says."""
    return block[PREPARED][0].as_py() if PREPARED in block.column_names else time.time()


def without_time(block: pa.Table) -> pa.Table:
    """The block as if it were ready just now."""
    return block.drop_columns([PREPARED]) if PREPARED in block.column_names else block
