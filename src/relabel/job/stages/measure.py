"""The quality figures of a unit's labels: which text of each row is measured, against which old one.

Joins outcomes and the figures; of a published part, whose outcomes are gone, it reads the columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from relabel.data.labels.parsers import make_parser
from relabel.data.quality.figures import Quality
from relabel.data.quality.measure import measure
from relabel.errors import RowRejected
from relabel.job.stages.outcome import LabelOutcome
from relabel.spec import Label, Query
from relabel.spec.section import column_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What is measured of one row for one label."""

    text: str | None = None
    """The label as text; None for a reject."""
    finish_reason: str | None = None
    """Why the text of the label ended; None for a reject."""
    reason: str | None = None
    """Why the row was rejected, or a remark."""


def measure_labels(
    rows: Mapping[str, Sequence[Measured]], first_row: int, old: Mapping[str, Sequence[str | None]]
) -> dict[str, Quality]:
    """Figures by the name of each label; `old` holds the columns that labels are compared to, by the same names."""
    figures = {}
    for name, measured in rows.items():
        texts, ends = [one.text for one in measured], [one.finish_reason for one in measured]
        numbers = range(first_row, first_row + len(measured))
        figures[name] = measure(texts, ends, numbers, old.get(name), [one.reason for one in measured])
    return figures


def measured_outcome(label: Label, outcome: LabelOutcome) -> Measured:
    """What is measured of an outcome: of several samples the one that was chosen."""
    if outcome.chosen is None:
        return Measured(reason=outcome.reason)
    sample = outcome.samples[outcome.chosen]
    text = (sample.values or {})[label.column] if _is_text(label) else sample.answer and sample.answer.text
    return Measured(
        text=None if text is None else str(text), finish_reason=sample.completion.finish_reason, reason=outcome.reason
    )


def measured_rows(query: Query, part: pa.Table) -> list[Measured]:
    """What is measured of the rows of a part."""
    label = query.label
    keys = list(dict.fromkeys([*label.columns, "text", "status", "reason", "finish_reason"]))
    columns = [part[column_of(query.name, key)].to_pylist() for key in keys]
    chosen = _Chosen(query)
    return [_measured(label, dict(zip(keys, row, strict=True)), chosen) for row in zip(*columns, strict=True)]


def _measured(label: Label, row: Mapping[str, object], chosen: _Chosen) -> Measured:
    reason = _text_at(row["reason"], 0)
    if row["status"] != "ok":
        return Measured(reason=reason)
    index = chosen(row)
    text = _text_at(row[label.column if _is_text(label) else "text"], index)
    return Measured(text=text, finish_reason=_text_at(row["finish_reason"], index), reason=reason)


class _Chosen:
    """Which sample is the label of a published row."""

    def __init__(self, query: Query) -> None:
        self._num_samples, self._label = query.sampling.num_samples, query.label
        self._parse = make_parser(query.label)

    def __call__(self, row: Mapping[str, object]) -> int:
        if self._num_samples == 1:
            return 0
        if self._label.vote:  # it does not keep the number of its winner: the first text that says the same
            says_it = [self._says(text, row) for text in _items(row["text"])]
        else:
            samples = zip(*(_items(row[key]) for key in self._label.columns), strict=True)
            says_it = [any(value is not None for value in sample) for sample in samples]
        return says_it.index(True) if True in says_it else 0

    def _says(self, text: object, row: Mapping[str, object]) -> bool:
        try:
            return all(row[key] == value for key, value in self._parse(str(text)).items())
        except RowRejected:
            return False


def _is_text(label: Label) -> bool:
    """Whether the column of a label is what is measured; else it is the text that the columns were taken from."""
    return label.pattern is None and label.json_schema is None


def _items(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _text_at(value: object, index: int) -> str | None:
    """Of a vote there is one label and a list of texts."""
    item = value[index] if isinstance(value, list) else value
    return None if item is None else str(item)
