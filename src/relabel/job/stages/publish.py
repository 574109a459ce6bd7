"""The output rows of a generated unit: its texts parsed, measured, and published as one part.

Plain functions of Arrow tables, so that a unit can also be labelled without Ray and without a store.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pyarrow as pa

from relabel.data.labels.reasoning import Start
from relabel.data.labels.reasoning_formats import ReasoningFormat
from relabel.data.output.binding import Binding
from relabel.data.store.stamp import Stamp, make_stamp
from relabel.data.store.store import Store
from relabel.errors import PartDamaged
from relabel.job.encoding.settings.form import Form
from relabel.job.faults.attempt import UnitAttempt, whole
from relabel.job.job import Job
from relabel.job.receipt import Receipt
from relabel.job.rejects.tally import by_code
from relabel.job.stages import block as blocks
from relabel.job.stages.answer import AnswerReader
from relabel.job.stages.block import of_query
from relabel.job.stages.completions import Completion
from relabel.job.stages.kept import restamp
from relabel.job.stages.measure import Measured, measure_labels, measured_outcome, measured_rows
from relabel.job.stages.outcome import LabelOutcome, Sample, make_outcome
from relabel.job.stages.output_rows import label_table, row_status
from relabel.job.stages.rejects import replace_rejects
from relabel.job.stream.elsewhere import receipt_of
from relabel.spec import Query


def publish_unit(
    block: pa.Table, job: Job, store: Store, attempt: UnitAttempt | None = None, binding: Binding | None = None
) -> Receipt:
    """Parse one unit, publish its part, and return the receipt. Raises RecipeChanged where `binding` is no more."""
    unit, queries = blocks.unit_of(block), job.spec.queries
    if (receipt := receipt_of(block)) is not None:
        return Receipt.from_text(receipt)
    if (why := blocks.failure_of(block)) is not None:
        return Receipt(part=unit.part, failure=why, changed=blocks.CHANGED in block.column_names)
    if (digest := blocks.same_of(block)) is not None:
        try:
            restamp(unit, digest, job, store)
        except PartDamaged as error:
            return Receipt(part=unit.part, failure=f"{error}; delete it if it is there, and run the same command again")
        return Receipt(part=unit.part)
    outcomes = _outcomes(block, job, attempt or whole(unit.num_rows))
    table = _table(block, job, outcomes)
    old = blocks.old_labels_of(block, queries)

    def stamp(rows: pa.Table, measured: Mapping[str, Sequence[Measured]]) -> Stamp:
        quality, digest = measure_labels(measured, unit.first_row, old), blocks.digest_of_block(block)
        return make_stamp(unit, job.fingerprint, rows, quality, digest)

    def stamp_merged(rows: pa.Table) -> Stamp:
        return stamp(rows, {query.name: measured_rows(query, rows) for query in queries})

    reasons, examples = dict[str, int](), dict[str, str]()
    if job.retry:
        draws = {query.name: blocks.first_draws_of(block, query.name) for query in queries}
        try:
            num_asked, num_ok = replace_rejects(unit, table, draws, job, store, stamp_merged)
        except PartDamaged as error:
            return Receipt(part=unit.part, failure=str(error))
    else:
        measured = {
            query.name: [measured_outcome(query.label, outcome) for outcome in rows]
            for query, rows in zip(queries, outcomes, strict=True)
        }
        made = stamp(table, measured)
        if binding is not None:
            binding.check()
        store.publish(unit.part, table, made.to_json(), job.bad.get(unit.part))
        num_asked, num_ok = unit.num_rows, made.ok
        reasons, examples = _reasons(table)
    asked = [outcome for rows in outcomes for outcome in rows if outcome.samples]
    return Receipt(
        part=unit.part,
        rows=num_asked,
        ok=num_ok,
        rejected=num_asked - num_ok,
        reasons=reasons,
        examples=examples,
        prompt_tokens=sum(outcome.prompt_tokens or 0 for outcome in asked),
        output_tokens=sum(sample.completion.num_tokens for outcome in asked for sample in outcome.samples),
        engine=blocks.report_of_block(block),
    )


def label_unit(block: pa.Table, job: Job) -> pa.Table:
    """The output rows of one generated unit, in the run's fixed schema."""
    return _table(block, job, _outcomes(block, job, whole(block.num_rows)))


class LabelOutcomes:
    """What became of the rows of a generated block for one label, by their index in the unit."""

    def __init__(self, block: pa.Table, query: Query, format: ReasoningFormat | None) -> None:
        self._query, self._reader = query, AnswerReader(query.label, format)
        self._reply_starts = blocks.reply_starts_of(block, query.name)
        self._settings, self._completions = blocks.settings_of(block), blocks.completions_of(block, query.name)
        self._remarks = block[of_query(blocks.REASON, query.name)].to_pylist()
        self._lengths = block[of_query(blocks.PROMPT_TOKENS, query.name)].to_pylist()
        self._probabilities = blocks.probabilities_of(block, query.name)

    def __getitem__(self, row: int) -> LabelOutcome:
        own, start = self._settings[row], self._reader.start_of(self._reply_starts[row])
        form = None if own is None else own.form
        return make_outcome(
            self._query.label,
            self._remarks[row],
            [self._sample(completion, start, form) for completion in self._completions[row]],
            prompt_tokens=self._lengths[row],
            probabilities=self._probabilities[row],
        )

    def _sample(self, completion: Completion, start: Start, form: Form | None) -> Sample:
        text, is_cut_off = completion.text, completion.finish_reason == "length"
        if text is None:
            return Sample(completion=completion, answer=None)
        is_held = form is not None or self._query.label.is_constrained
        answer = self._reader.read(text, start=start, is_held=is_held, is_cut_off=is_cut_off)
        # whoever wrote the row reads the text itself: to them a choice with a space before it is none
        answer = answer if form is None else replace(answer, text=form.of_text(answer.text))
        return Sample(completion=completion, answer=answer)


def _outcomes(block: pa.Table, job: Job, attempt: UnitAttempt) -> list[list[LabelOutcome]]:
    """By label and row what became of it; rows that the attempt passes over are rejected for its reason."""
    labels = [LabelOutcomes(block, query, job.format_of(query.label)) for query in job.spec.queries]
    outcomes = [[LabelOutcome(reason=attempt.reason)] * block.num_rows for _ in labels]
    for group in attempt.each():
        for label, found in zip(outcomes, labels, strict=True):
            for row in group:
                label[row] = found[row]
    return outcomes


def _reasons(rows: pa.Table) -> tuple[dict[str, int], dict[str, str]]:
    """The reasons of the rejected rows by code: how many there are, and the most frequent one."""
    pairs = zip(rows["status"].to_pylist(), rows["reason"].to_pylist(), strict=True)
    return by_code(reason for status, reason in pairs if status == "rejected")


def _table(block: pa.Table, job: Job, outcomes: Sequence[Sequence[LabelOutcome]]) -> pa.Table:
    unit, queries = blocks.unit_of(block), job.spec.queries
    tables = [label_table(query, rows) for query, rows in zip(queries, outcomes, strict=True)]
    columns: dict[str, pa.Array | pa.ChunkedArray] = {name: block[name] for name in job.kept.names} | {
        "source_file": pa.array([unit.file.path] * unit.num_rows, pa.string()),
        "source_row": pa.array(range(unit.first_row, unit.first_row + unit.num_rows), pa.int64()),
    }
    for table in tables:
        columns |= {name: table[name] for name in table.column_names}
    if "status" not in columns:
        columns["status"], columns["reason"] = map(pa.array, row_status(queries, tables))
    return pa.table([columns[name] for name in job.schema.names], schema=job.schema)
