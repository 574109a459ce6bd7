"""The output rows of a generated unit: its texts parsed, measured, and published as one part.

Plain functions of Arrow tables, so that a unit can also be labelled without Ray and without a store.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import pyarrow as pa

from relabel.data.sources.unit import Unit
from relabel.data.store.stamp import Stamp, make_stamp
from relabel.data.store.store import Store
from relabel.errors import PartDamaged
from relabel.job.encoding.settings import OwnSettings
from relabel.job.engine import sampling_of
from relabel.job.faults.attempt import UnitAttempt, whole
from relabel.job.job import Job
from relabel.job.receipt import Receipt
from relabel.job.stages import block as blocks
from relabel.job.stages.answer import Answer, reader_of
from relabel.job.stages.block import of_query
from relabel.job.stages.measure import measure_labels
from relabel.job.stages.output_rows import Asked, label_table, row_status
from relabel.job.stages.rejects import replace_rejects
from relabel.spec import Query
from relabel.spec.section import column_of


def publish_unit(block: pa.Table, job: Job, store: Store, trial: UnitAttempt | None = None) -> Receipt:
    """Parse one unit, publish its part, and return the receipt."""
    unit = blocks.unit_of(block)
    if (why := blocks.failure_of(block)) is not None:
        return Receipt(part=unit.part, failure=why)
    table, old = label_unit(block, job, trial), blocks.old_labels_of(block, job.spec.queries)
    counts = [table[column_of(query.name, "output_tokens")].to_pylist() for query in job.spec.queries]
    if job.retry:
        draws = {query.name: blocks.first_draws_of(block, query.name) for query in job.spec.queries}
        try:
            num_asked, num_ok = replace_rejects(unit, table, draws, job, store, partial(_stamp, unit, job, old))
        except PartDamaged as error:
            return Receipt(part=unit.part, failure=str(error))
    else:
        stamp = _stamp(unit, job, old, table)
        store.publish(unit.part, table, stamp.to_json(), job.bad.get(unit.part))
        num_asked, num_ok = unit.num_rows, stamp.ok
    return Receipt(
        part=unit.part,
        rows=num_asked,
        ok=num_ok,
        rejected=num_asked - num_ok,
        output_tokens=sum(count or 0 for column in counts for count in column),
        engine=blocks.report_of_block(block),
    )


def label_unit(block: pa.Table, job: Job, trial: UnitAttempt | None = None) -> pa.Table:
    """The output rows of one generated unit, in the run's fixed schema."""
    unit, queries = blocks.unit_of(block), job.spec.queries
    trial = trial or whole(unit.num_rows)
    askers = [_asker(block, job, query) for query in queries]
    asked = [[Asked(reason=trial.reason)] * unit.num_rows for _ in queries]
    for group in trial.each():
        for own, ask in zip(asked, askers, strict=True):
            for at in group:
                own[at] = ask(at)
    tables = [label_table(query, own) for query, own in zip(queries, asked, strict=True)]
    columns: dict[str, Any] = {name: block[name] for name in job.kept.names} | {
        "source_file": pa.array([unit.file.path] * unit.num_rows, pa.string()),
        "source_row": pa.array(range(unit.first_row, unit.first_row + unit.num_rows), pa.int64()),
    }
    for table in tables:
        columns |= {name: table[name] for name in table.column_names}
    if "status" not in columns:
        columns["status"], columns["reason"] = map(pa.array, row_status(queries, tables))
    return pa.table([columns[name] for name in job.schema.names], schema=job.schema)


def _stamp(unit: Unit, job: Job, old: Mapping[str, list[str | None]], table: pa.Table) -> Stamp:
    quality = measure_labels(job.spec.queries, table, unit.first_row, old)
    return make_stamp(unit, job.fingerprint, table, quality)


def _asker(block: pa.Table, job: Job, query: Query) -> Callable[[int], Asked]:
    """What makes of one row of a generated block, given its place, what became of it for one label."""
    names = (blocks.REASON, blocks.TEXTS, blocks.PROMPT_TOKENS)
    reasons, texts, lengths = (block[of_query(name, query.name)].to_pylist() for name in names)
    column, settings = of_query(blocks.PROBABILITIES, query.name), blocks.settings_of(block)
    shares = block[column].to_pylist() if column in block.column_names else [None] * block.num_rows
    common = reader_of(job, query, sampling_of(query))

    def answers(generated: Sequence[dict[str, Any]], own: OwnSettings | None) -> list[Answer | None]:
        """What the samples of one row say; None for one that the engine gave an error for."""
        if not generated:
            return []
        reader = common if own is None else reader_of(job, query, own.over(query))
        return [reader.read(one["token_ids"]) if one["error"] is None else None for one in generated]

    def asked(at: int) -> Asked:
        return Asked(
            reason=reasons[at],
            answers=answers(texts[at] or (), settings[at]),
            generated=texts[at] or (),
            prompt_tokens=lengths[at],
            probabilities=shares[at],
        )

    return asked
