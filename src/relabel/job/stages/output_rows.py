"""The outcomes of a unit in, its output rows out: one for each row, in the run's fixed schema.

Knows which columns there are; nothing of tokens, engines or stores.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from relabel.data.labels.columns import columns_beside, label_columns
from relabel.job.stages.outcome import LabelOutcome, Sample
from relabel.spec import Query
from relabel.spec.section import column_of

MAX_REJECTED_TEXT = 2_000
"""Characters that are kept of a text without a label: enough to see what went wrong."""


def label_table(query: Query, rows: Sequence[LabelOutcome]) -> pa.Table:
    """The columns of one label, with its `status` and `reason`."""
    label, num_samples = query.label, query.sampling.num_samples
    types = {**label_columns(label, num_samples), **columns_beside(label, num_samples)}
    records = [_record(query, row) for row in rows]
    arrays = {key: pa.array([record.get(key) for record in records], type) for key, type in types.items()}
    return pa.table({column_of(query.name, key): array for key, array in arrays.items()})


def row_status(queries: Sequence[Query], tables: Sequence[pa.Table]) -> tuple[list[str], list[str | None]]:
    """Status and reason of each row with several labels: it is ok if all of them are."""
    each = [
        (query.name, table[f"{query.name}_status"].to_pylist(), table[f"{query.name}_reason"].to_pylist())
        for query, table in zip(queries, tables, strict=True)
    ]
    statuses, reasons = [], []
    for row in range(tables[0].num_rows):
        bad = [f"{reason[row]} (label {name})" for name, status, reason in each if status[row] != "ok"]
        remarks = [reason[row] for _, _, reason in each if reason[row] is not None]
        statuses.append("rejected" if bad else "ok")
        reasons.append(bad[0] if bad else next(iter(remarks), None))
    return statuses, reasons


def _record(query: Query, row: LabelOutcome) -> dict[str, object]:
    label, is_single = query.label, query.sampling.num_samples == 1
    record: dict[str, object] = {
        "status": "rejected" if row.chosen is None else "ok",
        "reason": row.reason,
        "prompt_tokens": row.prompt_tokens,
    }
    if not row.samples:
        return record
    record["attempts"] = sum(sample.completion.attempts for sample in row.samples)
    record["output_tokens"] = sum(sample.completion.num_tokens for sample in row.samples)
    columns = {
        "text": [_kept(sample, sample.answer and sample.answer.text) for sample in row.samples],
        "reasoning": [_kept(sample, sample.answer and sample.answer.reasoning) for sample in row.samples],
        "finish_reason": [sample.completion.finish_reason for sample in row.samples],
        "logprob": [sample.completion.logprob for sample in row.samples],
    }
    record |= {key: values[0] if is_single else values for key, values in columns.items()}
    if row.probabilities is not None and label.choices is not None:
        record["probabilities"] = dict(zip(label.choices, row.probabilities, strict=True))
    if row.chosen is None:
        return record
    if is_single or label.vote:
        return record | (row.samples[row.chosen].values or {}) | {"agreement": row.agreement}
    values = [sample.values for sample in row.samples]
    return record | {key: [value and value.get(key) for value in values] for key in label.columns}


def _kept(sample: Sample, text: str | None) -> str | None:
    return text if text is None or sample.values is not None else text[:MAX_REJECTED_TEXT]
