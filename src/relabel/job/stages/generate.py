"""The texts of a unit: what its block asks of the engine, and a block with what came of it.

A plain function of Arrow tables, so that a unit can also be generated without Ray.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pyarrow as pa
from pyarrow.compute import call_function as compute

from relabel.data.labels.reasoning import Start, before_answer
from relabel.data.sources.unit import Unit
from relabel.engine import Engine, Request, Result
from relabel.job.engine import choice_ids, ids_of, sampling_of
from relabel.job.faults.attempt import UnitAttempt, whole
from relabel.job.job import Job
from relabel.job.stages import block as blocks
from relabel.job.stages.answer import AnswerReader
from relabel.job.stages.block import of_query
from relabel.job.stages.completions import Completion, CompletionRequest, Key, complete, probabilities
from relabel.spec import Query

Tensors = dict[str, np.ndarray]


def generate_unit(block: pa.Table, engine: Engine, job: Job, attempt: UnitAttempt | None = None) -> pa.Table:
    """Generate for every row of a block that has a prompt, and that the attempt does not pass over."""
    if blocks.is_over(block):
        return block
    unit, queries = blocks.unit_of(block), job.spec.queries
    attempt = attempt or whole(unit.num_rows)
    tensors: list[Tensors] = [{} for _ in range(unit.num_rows)]
    requests = [one for query in queries for one in requests_of(block, unit, query, job, tensors)]
    # by row, so that what its prompts have in common is still there when the next of them comes
    requests.sort(key=lambda one: one.key.row)
    scored = {query.name: query for query in queries if query.label.logprobs and query.label.choices is not None}
    completions: dict[Key, Completion] = {}
    shares: dict[Key, list[float] | None] = {}
    for rows in map(frozenset, attempt.each()):
        group = [one for one in requests if one.key.row in rows]
        completions |= {one.key: text for one, text in zip(group, complete(engine, group), strict=True)}
        for name, query in scored.items():
            firsts = [one for one in group if one.key.label == name and one.key.sample == 0]
            firsts = list(_before_answers(firsts, completions, job, engine))
            choices = choice_ids(query.label, job.spec.model, engine)
            found = probabilities(engine, firsts, choices)
            shares |= {one.key: share for one, share in zip(firsts, found, strict=True)}
    columns: dict[str, pa.Array | pa.ChunkedArray] = {}
    for query in queries:
        columns |= _label_columns(block, query, completions, attempt)
        if query.name in scored:
            column = [shares.get(Key(query.name, row, 0)) for row in range(unit.num_rows)]
            columns[of_query(blocks.PROBABILITIES, query.name)] = pa.array(column, pa.list_(pa.float32()))
    travels_on = (blocks.DIGEST, blocks.SETTINGS, blocks.OLD, blocks.FIRST_DRAW, blocks.REPLY_START)
    columns |= {name: block[name] for name in block.column_names if name.startswith(travels_on)}
    kept = block.select([name for name in block.column_names if not name.startswith("relabel:")])
    return blocks.unit_block(unit, kept, columns)


def requests_of(
    block: pa.Table, unit: Unit, query: Query, job: Job, known: Sequence[Tensors]
) -> Iterator[CompletionRequest]:
    """What a block asks for one label. `known`: the tensors of each row that labels before it brought; added to."""
    format, settings = job.format_of(query.label), blocks.settings_of(block)
    reader, common = AnswerReader(query.label, format), {start: sampling_of(query, format, start) for start in Start}
    starts = [reader.start_of(text) for text in blocks.reply_starts_of(block, query.name)]
    tensors = block[of_query(blocks.TENSORS, query.name)]
    prompts = block[of_query(blocks.PROMPT_IDS, query.name)].to_pylist()
    chats, names = blocks.chats_of(block, query.name), blocks.names_of(block, unit)
    first_draws = blocks.first_draws_of(block, query.name).to_pylist()
    for row, (prompt, first_draw, own) in enumerate(zip(prompts, first_draws, settings, strict=True)):
        if prompt is None:
            continue
        known[row].update(blocks.unpack_tensors(tensors[row].as_py()))
        if first_draw is None:
            continue
        start = starts[row]
        sampling = common[start] if own is None else own.over(query, format, start)
        request = Request(
            id=0, prompt_ids=prompt, tensors=dict(known[row]), sampling=sampling, group=row, chat=chats[row]
        )
        for sample in range(query.sampling.num_samples):
            yield CompletionRequest(
                key=Key(query.name, row, sample),
                name="\0".join(filter(None, (names[row], query.name))),
                request=request,
                label=query.label,
                first_draw=first_draw,
                start=start,
                holds_label=partial(_holds_label, reader, start, is_held=sampling.constraint is not None),
            )


def _holds_label(reader: AnswerReader, start: Start, result: Result, *, is_held: bool) -> bool:
    is_cut_off = result.finish_reason == "length"
    answer = reader.read(result.text or "", start=start, is_held=is_held, is_cut_off=is_cut_off)
    return answer.values is not None


def _before_answers(
    requests: Sequence[CompletionRequest], completions: Mapping[Key, Completion], job: Job, engine: Engine
) -> Iterator[CompletionRequest]:
    """The requests with what was written before each answer behind their prompts; those without an answer left out."""
    for one in requests:
        format, text = job.format_of(one.label), completions[one.key].text
        if format is None or not text:
            yield one
        elif (before := before_answer(text, format, start=one.start, is_held=one.label.is_constrained)) is not None:
            ids = (
                [*one.request.prompt_ids, *ids_of(before, job.spec.model, engine)] if before else one.request.prompt_ids
            )
            yield replace(one, request=replace(one.request, prompt_ids=ids))


def _label_columns(
    block: pa.Table, query: Query, completions: Mapping[Key, Completion], attempt: UnitAttempt
) -> dict[str, pa.Array]:
    """The texts of one label, why there are none, and how long the prompts were."""
    texts: list[list[Completion] | None] = [None] * block.num_rows
    for row in range(block.num_rows):
        keys = [Key(query.name, row, sample) for sample in range(query.sampling.num_samples)]
        texts[row] = [completions[key] for key in keys if key in completions] or None
    reasons = attempt.reasons(block[of_query(blocks.REASON, query.name)].to_pylist())
    lengths = compute("list_value_length", [block[of_query(blocks.PROMPT_IDS, query.name)]])
    return {
        of_query(blocks.REASON, query.name): pa.array(reasons, pa.string()),
        of_query(blocks.PROMPT_TOKENS, query.name): lengths,
        of_query(blocks.TEXTS, query.name): blocks.completions_column(texts),
    }
