"""Rows of an Arrow table as plain JSON: times as ISO texts, decimals as texts, bytes as base64, NaN as null.

Knows types, not what columns mean.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterator

import pyarrow as pa

ROWS_AT_ONCE = 1024


def lines_of(rows: pa.Table) -> Iterator[bytes]:
    """Each row as one line of JSON, without its end. ASCII: many readers end a line at U+2028 too."""
    columns = [_as_texts(column) for column in rows.columns]
    for batch in pa.table(columns, names=rows.column_names).to_batches(max_chunksize=ROWS_AT_ONCE):
        for row in batch.to_pylist():
            yield json.dumps(_plain(row), allow_nan=False).encode()


def _as_texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Times as Arrow writes them, which also writes those that Python has none of."""
    is_time = pa.types.is_temporal(column.type) and not pa.types.is_duration(column.type)
    return column.cast(pa.string()) if is_time else column


def _plain(value: object) -> object:
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value)
