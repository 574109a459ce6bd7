"""The texts of a unit: what its block asks of the engine, and a block with what came of it.

A plain function of Arrow tables, so that a unit can also be generated without Ray.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from relabel.data.sources.unit import Unit
from relabel.engine import Request
from relabel.job.engine import choice_ids, sampling_of
from relabel.job.faults.attempt import UnitAttempt, whole
from relabel.job.job import Job
from relabel.job.stages import block as blocks
from relabel.job.stages.answer import reader_of, tokenizer_of
from relabel.job.stages.block import of_query
from relabel.job.stages.completions import Ask, Generated, ask, probabilities
from relabel.spec import Query


def generate_unit(block: pa.Table, engine: Any, job: Job, trial: UnitAttempt | None = None) -> pa.Table:
    """Generate for every row of a block that has a prompt, and that the trial does not pass over."""
    if blocks.failure_of(block) is not None:
        return block
    unit = blocks.unit_of(block)
    trial = trial or whole(unit.num_rows)
    queries, columns = job.spec.queries, {}
    asks = _asks(block, unit, job)
    texts: dict[int, Generated] = {}
    shares: dict[str, dict[int, list[float] | None]] = {query.name: {} for query in queries}
    for group in trial.each():
        rows = set(group)
        # by row, so that what its prompts have in common is still there when the next of them comes
        some = sorted((one for own in asks for one in own if one.row in rows), key=lambda one: one.row)
        texts |= zip(map(id, some), ask(engine, some), strict=True)
        for query, own in zip(queries, asks, strict=True):
            if _has_probabilities(query):
                shares[query.name] |= _probabilities(engine, query, [one for one in own if one.row in rows], job)
    for query, own in zip(queries, asks, strict=True):
        by_row: list[list[dict[str, Any]] | None] = [None] * block.num_rows
        for one in own:
            if one.row not in trial.poison:
                by_row[one.row] = [*(by_row[one.row] or []), _plain(texts[id(one)])]
        prompts = block[of_query(blocks.PROMPT_IDS, query.name)].to_pylist()
        lengths = [None if prompt is None else len(prompt) for prompt in prompts]
        reasons = trial.reasons(block[of_query(blocks.REASON, query.name)].to_pylist())
        columns[of_query(blocks.REASON, query.name)] = pa.array(reasons, pa.string())
        columns[of_query(blocks.PROMPT_TOKENS, query.name)] = pa.array(lengths, pa.int32())
        columns[of_query(blocks.TEXTS, query.name)] = pa.array(by_row, blocks.GENERATED)
        if _has_probabilities(query):
            column = [shares[query.name].get(row) for row in range(block.num_rows)]
            columns[of_query(blocks.PROBABILITIES, query.name)] = pa.array(column, pa.list_(pa.float32()))
        if job.retry:
            columns[of_query(blocks.FIRST_DRAW, query.name)] = block[of_query(blocks.FIRST_DRAW, query.name)]
    for name in block.column_names:
        if name == blocks.SETTINGS or name.startswith(blocks.OLD):
            columns[name] = block[name]
    kept = block.select([name for name in block.column_names if not name.startswith("relabel:")])
    return blocks.unit_block(unit, kept, columns)


def _plain(text: Generated) -> dict[str, Any]:
    return {name: getattr(text, name) for name in Generated.__dataclass_fields__}  # asdict would copy every token


def _asks(block: pa.Table, unit: Unit, job: Job) -> list[list[Ask]]:
    """What a block asks for each label."""
    asks: list[list[Ask]] = []
    settings = blocks.settings_of(block)
    seen: list[dict[str, np.ndarray]] = [{} for _ in range(block.num_rows)]
    for query in job.spec.queries:
        own: list[Ask] = []
        tensors = block[of_query(blocks.TENSORS, query.name)]
        prompts = block[of_query(blocks.PROMPT_IDS, query.name)].to_pylist()
        first_draws = blocks.first_draws_of(block, query.name)
        common = sampling_of(query)
        for at, (prompt, first_draw) in enumerate(zip(prompts, first_draws, strict=True)):
            if prompt is None:
                continue
            seen[at] = {**seen[at], **blocks.unpack_tensors(tensors[at].as_py())}
            if first_draw is None:
                continue
            own_settings = settings[at]
            sampling = common if own_settings is None else own_settings.over(query)
            holds_label = reader_of(job, query, sampling).holds_label
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


def _has_probabilities(query: Query) -> bool:
    return query.label.logprobs and query.label.choices is not None


def _probabilities(engine: Any, query: Query, asks: Sequence[Ask], job: Job) -> dict[int, list[float] | None]:
    """The probability of each choice, by row."""
    firsts = [one for one in asks if one.sample == 0]
    choices = choice_ids(query.label, tokenizer_of(job), engine)
    return dict(zip([one.row for one in firsts], probabilities(engine, firsts, choices), strict=True))
