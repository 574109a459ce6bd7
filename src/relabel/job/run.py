"""A whole run: refuse early, label what is not there yet, count everything, say how it ended."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

from relabel.data.labels.kept import not_kept
from relabel.data.output.audit import conclude, resume, take_note
from relabel.data.output.manifest import write_gates
from relabel.data.output.report import Report
from relabel.data.sources.listing import say
from relabel.data.sources.plan import Plan, by_part
from relabel.data.sources.planning import changed_files
from relabel.data.store.store import Store
from relabel.data.tables.commit import commit_table, take_table
from relabel.errors import RecipeChanged, Refused
from relabel.job.budget.guard import Guard, runs_before
from relabel.job.budget.left import left_by
from relabel.job.encoding.row import RowEncoder
from relabel.job.executor import Executor, execute_units, executor_at
from relabel.job.job import Job
from relabel.job.notify.notifier import Notifier
from relabel.job.prepare import prepare
from relabel.job.progress.phases import Phases
from relabel.job.progress.recount import Recount
from relabel.job.rejects.first_rows import first_rows
from relabel.job.rejects.tally import FEWEST_READ
from relabel.job.sample.kept import compared, read_forecast
from relabel.spec import Spec

log = logging.getLogger("relabel")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """How a run ended: what is in the output now, and what this run itself did."""

    audit: Report
    done_now: dict[str, object]
    """units, rows, ok, rejected, failed, prompt_tokens, output_tokens, seconds and rows_per_second of this run alone;
    `goodput`, and `batching`: how the engines batched, the verdict of their checks at the start, and why."""
    passed_over: Mapping[str, int]
    """Files of the source's folders and members of its archives that are not read, by suffix or kind."""
    dropped_files: int = 0
    """Files that are gone from the source, and whose labels this run deleted."""
    forecast: Mapping[str, object] | None = None
    """What `relabel plan --sample` predicted beside what this run took; None where nothing was predicted or done."""
    budget: Mapping[str, object] | None = None
    """Where `resources.budget` ended the run: which limit, what is spent, and what the rest would cost."""

    @property
    def complete(self) -> bool:
        """Whether every row of the source is in the output, once."""
        return self.audit.complete

    @property
    def passed(self) -> bool:
        """Whether it is complete and its labels keep within the limits of the gate."""
        return self.audit.passed

    def to_json(self) -> dict[str, object]:
        """One flat line of figures."""
        figures = {"passed_over": dict(self.passed_over), "dropped_files": self.dropped_files}
        told = {"forecast": self.forecast, "budget": self.budget}
        known = {name: value for name, value in told.items() if value is not None}
        return {**self.audit.to_json(), **figures, "done_now": self.done_now, **known}


def run(
    spec: Spec,
    *,
    address: str = "local",
    redo_changed: bool = False,
    execute: Executor | None = None,
    notifier: Notifier | None = None,
) -> RunReport:
    """Label every row of the source that has no label yet, by `execute`, else on the Ray cluster at `address`.

    Whoever `spec.notify` names is told how it ended. A caller who made a `notifier` of that tells by it himself that
    the run is stopped.

    Raises Refused before any work where the spec, the source, the model or the output do not allow it, SourceChanged
    also after it, where rows of a file that looked untouched were found to be others, and RunFailed where the executor
    gave up; what was published until then stands. A report that is not complete names what is
    missing.
    """
    own = Notifier(spec.notify) if notifier is None else notifier
    with own.watching(is_stopped_by_others=notifier is not None):
        report = _run(spec, redo_changed, execute or executor_at(address))
    own.tell(report.to_json())
    return report


def _run(spec: Spec, redo_changed: bool, execute: Executor) -> RunReport:
    store = Store(spec.output.path)
    with Phases() as phases:
        phases.begin("looking at the model and the source")
        job, plan, encoder = prepare(spec, store, redo_changed=redo_changed, on_planned=phases.plan)
        take_table(spec.output.table, store, job.fingerprint, job.schema)
        phases.begin("looking at what is published")
        start = resume(plan, store, job.fingerprint)
    for part in start.bad.keys() - start.digests.keys():
        log.warning("%s does not count (damaged, or made from something else): it is made again", part)
    if start.digests:
        log.info(
            "%d parts are of other versions of their files: those whose rows are the same stay", len(start.digests)
        )
    for part in start.deleted:
        log.warning("%s is of a plan or a recipe that was given up: deleted", part)
    if plan.gone:
        log.warning("%d source files are gone, and their labels stay (source.removed: keep)", len(plan.gone))
    if plan.dropped:
        log.warning("%d source files are gone, and their labels go with them", len(plan.dropped))
    if plan.passed_over:
        log.warning("not read: %s", say(plan.passed_over))
    for name, why in not_kept(plan.columns, set(job.schema.names) - set(job.kept.names)).items():
        if spec.output.keep == "all":
            log.warning("column %s is not kept: %s", name, why)
    for note in plan.notes:
        log.warning("%s", note)
    for path, why in plan.unreadable:
        log.warning("the source file %s is left out: %s", path, why)
    if not start.done:
        _refuse_hopeless(spec, plan, encoder, job)
    todo = start.todo
    log.info("%d units planned, %d done, %d to do", len(start.done) + len(todo), len(start.done), len(todo))
    job = replace(job, bad=start.bad, digests=start.digests)
    gates = {query.name: query.label.gate for query in spec.queries}
    rows_done = 0 if spec.resources.budget.rows is None else sum(unit.num_rows for unit in start.done)
    guard = Guard(spec.resources, runs_before(spec.resources, store), rows_done=rows_done)
    units = todo[: guard.allow(len(todo), (unit.num_rows for unit in todo))]
    recount = Recount(partial(take_note, plan, store, job.fingerprint), num_parts=len(start.done))
    figures: dict[str, object] = {}
    try:
        if units:
            figures = execute_units(units, job, execute, guard, num_rows=units.num_rows, recount=recount)
    except RecipeChanged:  # the output is another recipe's by now: that count takes back what is this run's
        conclude(plan, store, job.fingerprint)
        raise
    report = conclude(
        plan, store, job.fingerprint, gates=gates, before_success=partial(commit_table, spec.output.table)
    )
    write_gates(store, gates)  # after the count, which raises where the output is another recipe's by now
    forecast = _compared(figures, job, store)
    left = left_by(guard, figures, units=report.units - report.published, rows=report.planned_rows - report.rows)
    for problem in [*_stopped(figures), *report.problems, *([left.sentence()] if left else [])]:
        log.warning("%s", problem)
    if changed := cast(Sequence[str], figures.get("changed", ())):
        units = by_part(plan)
        raise changed_files({units[part].file.path for part in changed})
    return RunReport(
        audit=report,
        done_now=figures,
        passed_over=plan.passed_over,
        dropped_files=len(plan.dropped),
        forecast=forecast,
        budget=left and left.to_json(),
    )


def _refuse_hopeless(spec: Spec, plan: Plan, encoder: RowEncoder, job: Job) -> None:
    """Images are left to the readers: one that kills its decoder must not take the driver with it."""
    if encoder.row_bytes:
        return
    if why := first_rows(plan, encoder, job).hopeless(spec.queries, fewest=FEWEST_READ):
        raise Refused(why)


def _compared(figures: Mapping[str, object], job: Job, store: Store) -> dict[str, object] | None:
    """What was predicted of this run beside what it took."""
    forecast = read_forecast(store, job.fingerprint) if figures.get("rows") else None
    if forecast is None:
        return None
    done = {name: cast(float, figures[name]) for name in ("rows", "rejected", "output_tokens", "seconds")}
    done["engine_seconds"] = cast(Mapping[str, float], figures["goodput"])["seconds"]
    found = compared(forecast, done, job.spec.resources.gpus_per_actor)
    log.info("predicted and actual: %s", found)
    return found


def _stopped(figures: Mapping[str, object]) -> list[str]:
    """Why the run ended early, if it did."""
    why = figures.get("stopped")
    return [f"stopped early: {why}; what was labelled stays"] if why else []
