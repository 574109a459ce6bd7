"""What happens to a unit on its way: read and encode, generate, publish. One block in, one block out.

Plain functions of Arrow tables, so that a unit can also be run without Ray.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import lru_cache, partial
from typing import Any

import numpy as np
import pyarrow as pa

from relabel.data.sources import read
from relabel.data.stamp import Stamp, make_stamp
from relabel.data.store import Store
from relabel.data.unit import Unit
from relabel.engine import Request, Sampling
from relabel.engine.processor import load_tokenizer
from relabel.errors import PartDamaged, SourceUnreadable
from relabel.job import block as blocks
from relabel.job.answer import Answer, Reader
from relabel.job.ask import Ask, ask, probabilities
from relabel.job.block import of_query
from relabel.job.context import RunContext
from relabel.job.encode import Encoded
from relabel.job.engine import choice_ids
from relabel.job.measure import measure_labels
from relabel.job.output import Asked, label_table, row_status
from relabel.job.rejects import limited, read_draws, replace_rejects
from relabel.job.row import RowEncoder
from relabel.job.settings import sampling_for
from relabel.spec.job import Query
from relabel.spec.section import column_of


def read_unit(unit: Unit, context: RunContext) -> pa.Table:
    """Read and encode one unit. A row that cannot be used carries its reason; an unreadable file fails the unit."""
    return encode_unit(unit, _encoder(context), context)


def encode_unit(unit: Unit, encoder: RowEncoder, context: RunContext) -> pa.Table:
    """The same with an encoder at hand."""
    queries = context.spec.queries
    try:
        draws = read_draws(unit, context, context.retry) if context.retry else {}
        compared = {query.name: query.label.compare_to for query in queries if query.label.compare_to is not None}
        rows = read(unit, context.spec.source, sorted({*encoder.columns, *compared.values()}), context.kept)
        encoded = [
            encoder.encode({column: values[at] for column, values in rows.columns.items()})
            if reason is None
            else [reason] * len(queries)
            for at, reason in enumerate(limited(rows.reasons, draws) if draws else rows.reasons)
        ]
    except (PartDamaged, SourceUnreadable) as error:  # also of the storage under a column of image paths
        return blocks.failed_block(unit, str(error))
    columns: dict[str, pa.Array] = {}
    seen: list[dict[str, np.ndarray]] = [{} for _ in encoded]
    for query, own in zip(queries, zip(*encoded, strict=True), strict=True):
        reasons = [row if isinstance(row, str) else row.remark for row in own]
        ids = [None if isinstance(row, str) else row.prompt_ids for row in own]
        columns[of_query(blocks.REASON, query.name)] = pa.array(reasons, pa.string())
        columns[of_query(blocks.PROMPT_IDS, query.name)] = pa.array(ids, blocks.IDS)
        columns[of_query(blocks.TENSORS, query.name)] = blocks.pack_tensors(
            [_new_tensors(row, known) for row, known in zip(own, seen, strict=True)]
        )
        if draws:
            columns[of_query(blocks.FIRST_DRAW, query.name)] = pa.array(draws[query.name], pa.int32())
    for name, column in compared.items():
        texts = [None if value is None else str(value) for value in rows.columns[column]]
        columns[of_query(blocks.OLD, name)] = pa.array(texts, pa.string())
    if encoder.settings:
        is_asked = [any(isinstance(one, Encoded) for one in row) for row in encoded]
        own = [text if asked else None for text, asked in zip(rows.columns[encoder.settings], is_asked, strict=True)]
        columns[blocks.SETTINGS] = pa.array(own, pa.string())
    return blocks.unit_block(unit, rows.kept, columns)


def generate_unit(block: pa.Table, engine: Any, context: RunContext) -> pa.Table:
    """Generate for every row of a block that has a prompt."""
    if blocks.failure_of(block) is not None:
        return block
    unit = blocks.unit_of(block)
    queries, columns = context.spec.queries, {}
    asks = _asks(block, unit, context)
    texts = iter(ask(engine, [one for own in asks for one in own]))
    for query, own in zip(queries, asks, strict=True):
        by_row: list[list[dict[str, Any]] | None] = [None] * block.num_rows
        for one in own:
            by_row[one.row] = [*(by_row[one.row] or []), asdict(next(texts))]
        prompts = block[of_query(blocks.PROMPT_IDS, query.name)].to_pylist()
        lengths = [None if prompt is None else len(prompt) for prompt in prompts]
        columns[of_query(blocks.REASON, query.name)] = block[of_query(blocks.REASON, query.name)]
        columns[of_query(blocks.PROMPT_TOKENS, query.name)] = pa.array(lengths, pa.int32())
        columns[of_query(blocks.TEXTS, query.name)] = pa.array(by_row, blocks.GENERATED)
        if query.label.logprobs and query.label.choices is not None:
            column = _probabilities(block.num_rows, engine, query, own, _tokenizer(context))
            columns[of_query(blocks.PROBABILITIES, query.name)] = column
        if context.retry:
            columns[of_query(blocks.FIRST_DRAW, query.name)] = block[of_query(blocks.FIRST_DRAW, query.name)]
    for name in block.column_names:
        if name == blocks.SETTINGS or name.startswith(blocks.OLD):
            columns[name] = block[name]
    kept = block.select([name for name in block.column_names if not name.startswith("relabel:")])
    return blocks.unit_block(unit, kept, columns)


def publish_unit(block: pa.Table, context: RunContext, store: Store) -> dict[str, Any]:
    """Parse one unit, publish its part, and return the receipt: plain figures, never row text."""
    unit = blocks.unit_of(block)
    if (why := blocks.failure_of(block)) is not None:
        return {"part": unit.part, "failure": why}
    table, old = label_unit(block, context), blocks.old_labels_of(block, context.spec.queries)
    counts = [table[column_of(query.name, "output_tokens")].to_pylist() for query in context.spec.queries]
    if context.retry:
        draws = {query.name: blocks.first_draws_of(block, query.name) for query in context.spec.queries}
        try:
            receipt = replace_rejects(unit, table, draws, context, store, partial(_stamp, unit, context, old))
        except PartDamaged as error:
            return {"part": unit.part, "failure": str(error)}
    else:
        stamp = _stamp(unit, context, old, table)
        store.publish(unit.part, table, stamp.to_json())
        receipt = {"rows": unit.num_rows, "ok": stamp.ok, "rejected": stamp.rejected, "failure": None}
    return {
        **receipt,
        "part": unit.part,
        "output_tokens": sum(count or 0 for column in counts for count in column),
        "engine": blocks.report_of_block(block),
    }


def label_unit(block: pa.Table, context: RunContext) -> pa.Table:
    """The output rows of one generated unit, in the run's fixed schema."""
    unit, queries = blocks.unit_of(block), context.spec.queries
    tables = [label_table(query, _asked(block, context, query)) for query in queries]
    columns: dict[str, Any] = {name: block[name] for name in context.kept.names} | {
        "source_file": pa.array([unit.file.path] * unit.num_rows, pa.string()),
        "source_row": pa.array(range(unit.first_row, unit.first_row + unit.num_rows), pa.int64()),
    }
    for table in tables:
        columns |= {name: table[name] for name in table.column_names}
    if "status" not in columns:
        columns["status"], columns["reason"] = map(pa.array, row_status(queries, tables))
    return pa.table([columns[name] for name in context.schema.names], schema=context.schema)


def _stamp(unit: Unit, context: RunContext, old: Mapping[str, list[str | None]], table: pa.Table) -> Stamp:
    quality = measure_labels(context.spec.queries, table, unit.first_row, old)
    return make_stamp(unit, context.fingerprint, table, quality)


def _new_tensors(row: Encoded | str, known: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The tensors that the queries before this one do not have as they are: pixels travel once for all labels."""
    if isinstance(row, str):
        return {}
    new = {
        name: tensor
        for name, tensor in row.tensors.items()
        if name not in known or not np.array_equal(tensor, known[name])
    }
    known |= new
    return new


def _asks(block: pa.Table, unit: Unit, context: RunContext) -> list[list[Ask]]:
    """What a block asks for each label."""
    asks: list[list[Ask]] = []
    settings = blocks.settings_of(block)
    seen: list[dict[str, np.ndarray]] = [{} for _ in range(block.num_rows)]
    for query in context.spec.queries:
        own: list[Ask] = []
        tensors = block[of_query(blocks.TENSORS, query.name)]
        prompts = block[of_query(blocks.PROMPT_IDS, query.name)].to_pylist()
        first_draws = blocks.first_draws_of(block, query.name)
        for at, (prompt, first_draw) in enumerate(zip(prompts, first_draws, strict=True)):
            if prompt is None:
                continue
            seen[at] = {**seen[at], **blocks.unpack_tensors(tensors[at].as_py())}
            if first_draw is None:
                continue
            sampling = sampling_for(query, settings[at])
            holds_label = _reader(context, query, sampling).holds_label
            request = Request(id=0, prompt_ids=prompt, tensors=seen[at], sampling=sampling, group=at)
            key = "\0".join(filter(None, (unit.file.path, str(unit.first_row + at), query.name)))
            own += [
                Ask(
                    row=at,
                    sample=sample,
                    key=key,
                    request=request,
                    label=query.label,
                    first_draw=first_draw,
                    holds_label=holds_label,
                )
                for sample in range(query.sampling.num_samples)
            ]
        asks.append(own)
    return asks


def _probabilities(num_rows: int, engine: Any, query: Query, asks: Sequence[Ask], tokenizer: Any) -> pa.Array:
    """[rows] of the probability of each choice, null for rows that were not asked."""
    firsts = [one for one in asks if one.sample == 0]
    choices = choice_ids(query.label, tokenizer, engine)
    by_row = dict(zip([one.row for one in firsts], probabilities(engine, firsts, choices), strict=True))
    return pa.array([by_row.get(row) for row in range(num_rows)], pa.list_(pa.float32()))


def _asked(block: pa.Table, context: RunContext, query: Query) -> list[Asked]:
    """Each row of a generated block for one label."""
    reasons, texts = block[of_query(blocks.REASON, query.name)], block[of_query(blocks.TEXTS, query.name)]
    lengths, column = block[of_query(blocks.PROMPT_TOKENS, query.name)], of_query(blocks.PROBABILITIES, query.name)
    shares = block[column].to_pylist() if column in block.column_names else [None] * block.num_rows
    return [
        Asked(
            reason=reason,
            answers=_answers(context, query, generated or (), settings),
            generated=generated or (),
            prompt_tokens=length,
            probabilities=own,
        )
        for reason, generated, length, own, settings in zip(
            reasons.to_pylist(),
            texts.to_pylist(),
            lengths.to_pylist(),
            shares,
            blocks.settings_of(block),
            strict=True,
        )
    ]


def _answers(
    context: RunContext, query: Query, generated: Sequence[dict[str, Any]], settings: str | None
) -> list[Answer | None]:
    """What the samples of one row say; None for one that the engine gave an error for."""
    if not generated:
        return []
    reader = _reader(context, query, sampling_for(query, settings))
    return [reader.read(one["token_ids"]) if one["error"] is None else None for one in generated]


@lru_cache(maxsize=1)
def _encoder(context: RunContext) -> RowEncoder:
    return RowEncoder(context.spec, context.image_root)


@lru_cache(maxsize=1)
def _readers(context: RunContext) -> dict[str, Reader]:
    return {query.name: Reader(query, _tokenizer(context)) for query in context.spec.queries}


def _reader(context: RunContext, query: Query, sampling: Sampling) -> Reader:
    """The reader of a label's texts, also of a row with stop texts of its own: they are no part of its text."""
    stop = list(sampling.stop_strings)
    if stop == query.sampling.stop:
        return _readers(context)[query.name]
    own = replace(query, sampling=query.sampling.model_copy(update={"stop": stop}))
    return Reader(own, _tokenizer(context))


@lru_cache(maxsize=1)
def _tokenizer(context: RunContext) -> Any:
    return load_tokenizer(context.spec.model.path, context.spec.model.revision)
