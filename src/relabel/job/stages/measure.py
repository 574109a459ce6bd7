"""The quality figures of a unit's labels: which texts of its output rows are measured, against which old ones.

Joins the columns of a part and the figures; knows nothing of how either is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from relabel.data.quality.figures import Quality, measure
from relabel.spec import Query
from relabel.spec.section import column_of


def measure_labels(
    queries: Sequence[Query], table: pa.Table, first_row: int, old: Mapping[str, Sequence[str | None]]
) -> dict[str, Quality]:
    """Figures by the name of each label; `old` holds the columns that labels are compared to, by the same names."""
    rows = range(first_row, first_row + table.num_rows)
    found = {}
    for query in queries:
        texts, ends = _texts(query, table)
        reasons = table[column_of(query.name, "reason")].to_pylist()
        found[query.name] = measure(texts, ends, rows, old.get(query.name), reasons)
    return found


def _texts(query: Query, table: pa.Table) -> tuple[list[str | None], list[str | None]]:
    """The label of each row as text, None for a reject, and why that text ended: of several samples the first."""
    label = query.label
    is_whole = label.pattern is None and label.json_schema is None
    values = table[column_of(query.name, label.column if is_whole else "text")].to_pylist()
    statuses = table[column_of(query.name, "status")].to_pylist()
    reasons = table[column_of(query.name, "finish_reason")].to_pylist()
    texts: list[str | None] = []
    ends: list[str | None] = []
    for value, status, reason, at in zip(values, statuses, reasons, _samples(query, table), strict=True):
        texts.append(_at(value, at) if status == "ok" else None)
        ends.append(_at(reason, at))
    return texts, ends


def _samples(query: Query, table: pa.Table) -> list[int]:
    """For each row the first sample with a label; of a vote, which does not say, the first that ended by itself."""
    if query.sampling.num_samples == 1:
        return [0] * table.num_rows
    if query.label.vote:
        ended = table[column_of(query.name, "finish_reason")].to_pylist()
        return [next((at for at, reason in enumerate(row or ()) if reason == "stop"), 0) for row in ended]
    columns = [table[column_of(query.name, key)].to_pylist() for key in query.label.columns]
    return [
        _first([any(part is not None for part in sample) for sample in _by_sample(row)])
        for row in zip(*columns, strict=True)
    ]


def _by_sample(row: Sequence[Sequence[Any] | None]) -> list[tuple[Any, ...]]:
    """The columns of a label turned round: one tuple for each sample."""
    return list(zip(*(column or () for column in row), strict=True))


def _first(values: Sequence[bool]) -> int:
    return next((at for at, value in enumerate(values) if value), 0)


def _at(value: Any, at: int) -> Any:
    """Of a vote there is one label and a list of texts."""
    return value[min(at, len(value) - 1)] if isinstance(value, list) else value
