"""What happens to a unit on its way: read and encode, generate, publish. One block in, one block out.

Plain functions of Arrow tables, so that a unit can also be run without Ray.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from typing import Any

import pyarrow as pa

from relabel.data.labels import cut_at_stop, output_schema, parse_label
from relabel.data.sources import read
from relabel.data.stamp import make_stamp
from relabel.data.store import Store
from relabel.data.unit import Unit
from relabel.engine import Request
from relabel.engine.processor import load_tokenizer
from relabel.errors import RowRejected, SourceUnreadable
from relabel.job import block as blocks
from relabel.job.context import RunContext
from relabel.job.encode import Encoded, Encoder


def read_unit(unit: Unit, context: RunContext) -> pa.Table:
    """Read and encode one unit. A row that cannot be used carries its reason; an unreadable file fails the unit."""
    return encode_unit(unit, _encoder(context), context)


def encode_unit(unit: Unit, encoder: Encoder, context: RunContext) -> pa.Table:
    """The same with an encoder at hand."""
    encoded: list[Encoded | None] = []
    try:
        rows = read(unit, context.spec.source, list(encoder.columns), context.kept)
        reasons = list(rows.reasons)
        for at, reason in enumerate(rows.reasons):
            row = None
            if reason is None:
                try:
                    row = encoder.encode({column: values[at] for column, values in rows.columns.items()})
                    reasons[at] = row.remark
                except RowRejected as error:
                    reasons[at] = str(error)
                except SourceUnreadable:
                    raise
                except Exception as error:  # noqa: BLE001  the boundary of a row: a processor that cannot take it
                    reasons[at] = f"prompt: it cannot be encoded ({type(error).__name__})"
            encoded.append(row)
    except SourceUnreadable as error:  # the file, or the storage under a column of image paths
        return blocks.failed_block(unit, str(error))
    return blocks.unit_block(
        unit,
        rows.kept,
        {
            blocks.REASON: pa.array(reasons, pa.string()),
            blocks.PROMPT_IDS: pa.array([row.prompt_ids if row else None for row in encoded], blocks.IDS),
            blocks.TENSORS: blocks.pack_tensors([row.tensors if row else {} for row in encoded]),
        },
    )


def generate_unit(block: pa.Table, engine: Any) -> pa.Table:
    """Generate for every row of a block that has a prompt."""
    if blocks.failure_of(block) is not None:
        return block
    unit = blocks.unit_of(block)
    prompts, tensors = block[blocks.PROMPT_IDS].to_pylist(), block[blocks.TENSORS]
    rows = [at for at, prompt in enumerate(prompts) if prompt is not None]
    results = engine.generate(
        [
            Request(
                id=row_id(unit.file.path, unit.first_row + at),
                prompt_ids=prompts[at],
                tensors=blocks.unpack_tensors(tensors[at].as_py()),
            )
            for at in rows
        ]
    )
    by_row: dict[int, Any] = dict(zip(rows, results, strict=True))
    reasons = block[blocks.REASON].to_pylist()
    for at, result in by_row.items():
        reasons[at] = result.error or reasons[at]
    done = {at: result for at, result in by_row.items() if result.error is None}
    index = range(block.num_rows)
    kept = block.select([name for name in block.column_names if not name.startswith("relabel:")])
    return blocks.unit_block(
        unit,
        kept,
        {
            blocks.REASON: pa.array(reasons, pa.string()),
            blocks.PROMPT_TOKENS: pa.array([len(prompt) if prompt else None for prompt in prompts], pa.int32()),
            blocks.OUTPUT_IDS: pa.array([done[at].token_ids if at in done else None for at in index], blocks.IDS),
            blocks.FINISH_REASON: pa.array(
                [done[at].finish_reason if at in done else None for at in index], pa.string()
            ),
        },
    )


def publish_unit(block: pa.Table, context: RunContext, store: Store) -> dict[str, Any]:
    """Parse one unit, publish its part, and return the receipt: plain figures, never row text."""
    unit = blocks.unit_of(block)
    if (why := blocks.failure_of(block)) is not None:
        return {"part": unit.part, "failure": why}
    table = label_unit(block, context)
    stamp = make_stamp(unit, context.fingerprint, table)
    store.publish(unit.part, table, stamp.to_json())
    return {
        "part": unit.part,
        "failure": None,
        "rows": unit.num_rows,
        "ok": stamp.ok,
        "rejected": stamp.rejected,
        "output_tokens": sum(count or 0 for count in table["output_tokens"].to_pylist()),
        "engine": blocks.report_of_block(block),
    }


def label_unit(block: pa.Table, context: RunContext) -> pa.Table:
    """The output rows of one generated unit, in the run's fixed schema."""
    unit, spec = blocks.unit_of(block), context.spec
    tokenizer = _tokenizer(spec.model.path, spec.model.revision)
    texts: list[str | None] = []
    labels: list[str | None] = []
    reasons = block[blocks.REASON].to_pylist()
    outputs = block[blocks.OUTPUT_IDS].to_pylist()
    for at, ids in enumerate(outputs):
        text = None if ids is None else cut_at_stop(_decoded(tokenizer, ids), spec.sampling.stop)
        label = None
        if text is not None:
            try:
                label = parse_label(text, spec.label)
            except RowRejected as error:
                reasons[at] = str(error)
        texts.append(text)
        labels.append(label)
    schema = output_schema(context.kept, spec.label)
    columns = {name: block[name] for name in context.kept.names} | {
        "source_file": pa.array([unit.file.path] * unit.num_rows, pa.string()),
        "source_row": pa.array(range(unit.first_row, unit.first_row + unit.num_rows), pa.int64()),
        spec.label.column: pa.array(labels, pa.string()),
        "text": pa.array(texts, pa.string()),
        "status": pa.array(["ok" if label is not None else "rejected" for label in labels], pa.string()),
        "reason": pa.array(reasons, pa.string()),
        "finish_reason": block[blocks.FINISH_REASON],
        "prompt_tokens": block[blocks.PROMPT_TOKENS],
        "output_tokens": pa.array([None if ids is None else len(ids) for ids in outputs], pa.int32()),
    }
    return pa.table([columns[name] for name in schema.names], schema=schema)


def row_id(source_file: str, source_row: int) -> int:
    """A number that names a row whatever unit, batch or run it is in; sampled text is drawn from it."""
    return int.from_bytes(blake2b(f"{source_file}\0{source_row}".encode(), digest_size=8).digest(), "big")


def _decoded(tokenizer: Any, ids: list[int]) -> str:
    # a byte-level tokenizer may end inside a character: U+FFFD stands for it, and no text holds a lone surrogate
    return tokenizer.decode(ids, skip_special_tokens=True).encode("utf-8", "replace").decode("utf-8")


@lru_cache(maxsize=1)
def _encoder(context: RunContext) -> Encoder:
    return Encoder(context.spec, context.image_root)


@lru_cache(maxsize=1)
def _tokenizer(path: str, revision: str | None) -> Any:
    return load_tokenizer(path, revision)
