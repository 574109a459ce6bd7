"""The output of a run as a batch output file of OpenAI's API: one line for each row, in the order of the source.

Reads parts one by one and never the source or the model. The file is there whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import time
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import BinaryIO, TypedDict

import numpy as np
import pyarrow as pa

from relabel.data.exports.published import published_rows
from relabel.data.exports.target import whole
from relabel.data.labels.columns import labels_of
from relabel.data.output.manifest import Run, run_of
from relabel.data.quality.distinct import hash_of
from relabel.data.store.store import Store
from relabel.errors import Refused

ID = "custom_id"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchExport:
    """What was written."""

    rows: int
    ok: int
    rejected: int
    missing: int
    """Units without a part that counts; their rows are not in the file."""
    unreadable: int
    """Source files without units, because they could not be planned."""
    duplicate_ids: int
    """Rows whose `custom_id` an earlier row has too: whoever made the requests cannot tell their answers apart."""

    @property
    def complete(self) -> bool:
        """Whether every row of the source has its line. Ids that are there twice were so in the source."""
        return not (self.missing or self.unreadable)

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def export_batch(store: Store, target: str) -> BatchExport:
    """Write the rows that are published to `target`. Raises Refused where no run keeps a `custom_id` there."""
    run = run_of(store)
    if ID not in run.schema.names:
        raise Refused(
            f"{store.url} has no column {ID}, by which answers are told apart: name it in output.keep and run into a "
            "new output.path"
        )
    if list(labels_of(run.recipe)) != [""]:
        raise Refused(f"{store.url} has several labels a row, and a batch file has one answer: make a run for each")
    with whole(target) as file:
        counts, ids = _write(store, run, file)
    return BatchExport(
        rows=counts["ok"] + counts["rejected"],
        ok=counts["ok"],
        rejected=counts["rejected"],
        missing=counts["missing"],
        unreadable=len(run.plan.unreadable),
        duplicate_ids=len(ids) - len(np.unique(np.frombuffer(ids, np.uint64))),
    )


def _write(store: Store, run: Run, file: BinaryIO) -> tuple[Counter[str], array[int]]:
    """Every row of every part that counts: how many of each status, and units without one; the hash of each id."""
    counts, ids = Counter[str](), array("Q")
    created, model = int(time.time()), run.recorded.model.path
    for unit in run.plan.units:
        rows = published_rows(store, run, unit)
        if rows is None:
            counts["missing"] += 1
            continue
        for row in _records(rows):
            counts[row["status"]] += 1
            place = f"{run.fingerprint}\0{row['source_file']}\0{row['source_row']}"
            digest = hashlib.sha256(place.encode()).hexdigest()[:32]
            line = _ok(row, digest, created, model) if row["status"] == "ok" else _rejected(row)
            request = {"id": f"batch_req_{digest}", "custom_id": _id(row[ID])}
            if (own := request["custom_id"]) is not None:
                ids.append(hash_of(own))  # 8 bytes each: a set of 50 million would be some 4 GB
            file.write(json.dumps(request | line).encode() + b"\n")  # ASCII: many readers end a line at U+2028 too
    return counts, ids


class _Record(TypedDict):
    """The columns of an output row that a line is made of. Of several samples, a row has a list of texts."""

    custom_id: object
    source_file: str
    source_row: int
    status: str
    reason: str | None
    text: str | list[str | None] | None
    finish_reason: str | list[str | None] | None
    prompt_tokens: int | None
    output_tokens: int | None


def _records(rows: pa.Table) -> Iterator[_Record]:
    for batch in rows.select(list(_Record.__annotations__)).to_batches(max_chunksize=1024):
        yield from batch.to_pylist()


def _ok(row: _Record, digest: str, created: int, model: str) -> dict[str, object]:
    texts, reasons = _each(row["text"]), _each(row["finish_reason"])
    prompt, completion = row["prompt_tokens"] or 0, row["output_tokens"] or 0
    body = {
        "id": f"chatcmpl-{digest}",
        "object": "chat.completion",
        "created": created,
        "model": model,
        "choices": [
            {
                "index": index,
                "message": {"role": "assistant", "content": text},
                "logprobs": None,
                "finish_reason": reason,
            }
            for index, (text, reason) in enumerate(zip(texts, reasons, strict=True))
            if text is not None  # a sample that the engine gave an error for
        ],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        },
    }
    return {"response": {"status_code": 200, "request_id": f"req_{digest}", "body": body}, "error": None}


def _rejected(row: _Record) -> dict[str, object]:
    reason = row["reason"] or ""
    return {"response": None, "error": {"code": reason.partition(":")[0], "message": reason}}


def _each(value: str | list[str | None] | None) -> list[str | None]:
    return value if isinstance(value, list) else [value]


def _id(value: object) -> str | None:
    return None if value is None else str(value)
