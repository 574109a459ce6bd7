"""The answers of a unit in, its output rows out: one for each row, in the run's fixed schema.

Knows which columns there are; nothing of tokens, engines or stores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from relabel.data.labels.columns import columns_beside, label_columns
from relabel.data.labels.vote import vote
from relabel.job.stages.answer import Answer
from relabel.spec import Query
from relabel.spec.section import column_of

MAX_REJECTED_TEXT = 2_000
"""Characters that are kept of a text without a label: enough to see what went wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What became of one row for one label."""

    reason: str | None
    """Why it was not asked at all, or a remark on its prompt."""
    answers: Sequence[Answer | None] = ()
    """One for each sample; None for one that the engine gave an error for. Empty where it was not asked."""
    generated: Sequence[dict[str, Any]] = ()
    """Of the same samples, as the block carries them."""
    prompt_tokens: int | None = None
    probabilities: Sequence[float] | None = None


def label_table(query: Query, rows: Sequence[Asked]) -> pa.Table:
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


def _record(query: Query, row: Asked) -> dict[str, Any]:
    values = [answer.values if answer else None for answer in row.answers]
    is_ok = any(value is not None for value in values)
    record = {
        "status": "ok" if is_ok else "rejected",
        "reason": _reason(row, values, is_ok),
        "prompt_tokens": row.prompt_tokens,
    }
    if not row.answers:
        return record
    record["attempts"] = sum(sample["attempts"] for sample in row.generated)
    record["output_tokens"] = sum(sample["num_tokens"] for sample in row.generated)
    samples = [
        {
            "text": answer and _kept(answer, answer.text),
            "reasoning": answer and _kept(answer, answer.reasoning),
            "finish_reason": sample["finish_reason"],
            "logprob": sample["logprob"],
        }
        for answer, sample in zip(row.answers, row.generated, strict=True)
    ]
    label, is_single = query.label, query.sampling.num_samples == 1
    for key in samples[0]:
        record[key] = samples[0][key] if is_single else [sample[key] for sample in samples]
    if row.probabilities is not None and label.choices is not None:
        record["probabilities"] = dict(zip(label.choices, row.probabilities, strict=True))
    if is_single:
        record |= values[0] or {}
    elif not label.vote:
        keys = label.columns if is_ok else []
        record |= {key: [value and value.get(key) for value in values] for key in keys}
    elif (outcome := vote(values)) is not None:
        winner, record["agreement"] = outcome
        record |= values[winner] or {}
    return record


def _kept(answer: Answer, text: str | None) -> str | None:
    return text if text is None or answer.values is not None else text[:MAX_REJECTED_TEXT]


def _reason(row: Asked, values: Sequence[Any], is_ok: bool) -> str | None:
    if not row.answers:
        return row.reason
    errors = [
        sample["error"] or (answer.reason if answer else None)
        for answer, sample in zip(row.answers, row.generated, strict=True)
    ]
    failed = [error for error in errors if error is not None]
    if not is_ok:
        return failed[-1]
    if row.reason is None and failed:
        return f"{failed[-1]} ({len(failed)} of {len(values)} samples have no label)"
    return row.reason
