"""The rejected rows of a finished run asked once more, into the same parts: refuse early, ask, count everything.

Knows the run from the documents in its output alone. Readers of the output see every row once throughout.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from relabel.data.output.audit import conclude, take_note
from relabel.data.output.census import Census
from relabel.data.output.manifest import RUN, read_gates, run_of
from relabel.data.output.recipe import fields_of
from relabel.data.output.report import Report
from relabel.data.sources.unit import Unit
from relabel.data.store.store import Store
from relabel.data.tables.commit import commit_table, noted_table
from relabel.errors import Refused, SpecError
from relabel.job.budget.guard import Guard, runs_before
from relabel.job.budget.left import left_by
from relabel.job.engines.choice import with_engine
from relabel.job.executor import Executor, execute_units, executor_at
from relabel.job.job import Retry
from relabel.job.prepare import prepare_retry
from relabel.job.progress.recount import Recount
from relabel.job.progress.units import no_figures
from relabel.spec import Spec, make_spec
from relabel.spec.engines.keys import OF_SPEED
from relabel.spec.load import split_override

log = logging.getLogger("relabel")

MOVED = ("model.path", "model.adapter", "server.urls", "server.api_key_env")
"""Where the model of the run and its adapter lie now, and who runs it: the same ones, so that it is the same recipe."""
SETTABLE = (
    "label.attempts",
    "label.retry_temperatures",
    "label.max_new_tokens_on_retry",
    "label.gate",
    "resources",
    *(f"{section}.{key}" for section, keys in OF_SPEED.items() for key in keys),
    *MOVED,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryReport:
    """How a retry ended: what came of the rows that were asked again, and what is in the output now."""

    audit: Report
    figures: dict[str, object]
    """As `RunReport.done_now`, of the rows that were asked again alone."""
    budget: Mapping[str, object] | None = None
    """As `RunReport.budget`; the rows that are left are rejects."""

    @property
    def complete(self) -> bool:
        """Whether all that was to be asked was asked, and the output has every row once and passes the gate."""
        return self.audit.passed and not self.figures["failed"] and self.budget is None

    def to_json(self) -> dict[str, object]:
        """One line of figures."""
        figures = {key: value for key, value in self.figures.items() if key != "units"}
        budget = {} if self.budget is None else {"budget": self.budget}
        return {
            "parts": self.figures["units"],
            **figures,
            "complete": self.complete,
            "output": self.audit.to_json(),
            **budget,
        }


def retry(
    url: str,
    reasons: Collection[str] = (),
    overrides: Collection[str] = (),
    address: str = "local",
    *,
    execute: Executor | None = None,
) -> RetryReport:
    """Ask the rejected rows of the output at `url` again, all or those with one of these codes of reasons.

    Rows that are rejected again stay rejects. `overrides` are `section.key=value` as for `--set`, of SETTABLE alone.
    Raises Refused before any work where parts are missing, the source or the model is another, or the texts would be
    the same again. Stopped in between, the same call goes on with what is still rejected.
    """
    store = Store(url, create=False)
    known, table = run_of(store), noted_table(store)
    limits = {name: gate.model_dump() for name, gate in read_gates(store).items()}
    fields = fields_of(known.recipe, limits, store.url)
    made_by = make_spec(fields, f"{store.url}/{RUN}")
    moved = [override for override in overrides if override.partition("=")[0] in MOVED]
    if moved:
        made_by = make_spec(_changed(fields, moved), "--set")
    asked = make_spec(_changed(fields, overrides), "--set")
    made_by, asked = (with_engine(spec, spec.model.engine) for spec in (made_by, asked))
    if asked.resources.budget.rows is not None:
        raise SpecError("--set resources.budget.rows: a retry adds no rows to the output; limit its hours or its time")
    wanted = Retry(reasons=frozenset(reasons))
    job, plan = prepare_retry(made_by, asked, known, store, wanted)
    found = _reasons(list(plan.units), store, job.fingerprint)
    rejected = {code for counts in found.values() for code in counts if wanted.wants(code)}
    if asked.labels:  # stamps count the reason of a row, which is that of its first reject: any part may hold others
        rejected = {code for counts in found.values() for code in counts} | wanted.reasons
    for reason in sorted(wanted.reasons - rejected):
        log.warning("no row was rejected for %r", reason)
    if "parse" in rejected and wanted.wants("parse"):
        _refuse_same_texts(asked, overrides)
    todo = [unit for unit, counts in found.items() if rejected & counts.keys() and unit.file.state != "gone"]
    rows = [sum(number for code, number in found[unit].items() if code in rejected) for unit in todo]
    if plan.gone:
        log.warning("%d source files are gone: their rejects cannot be asked again", len(plan.gone))
    log.info("%d rows in %d of %d parts are asked again", sum(rows), len(todo), len(found))
    figures: dict[str, object] = {**no_figures(), "seconds": 0.0}
    guard = Guard(asked.resources, runs_before(asked.resources, store), rows_done=0)
    if units := todo[: guard.allow(len(todo), rows)]:
        recount = Recount(partial(take_note, plan, store, job.fingerprint), num_parts=len(found))
        num_rows, execute = sum(rows[: len(units)]), execute or executor_at(address)
        figures = execute_units(units, job, execute, guard, num_rows=num_rows, recount=recount)
    gates = {query.name: query.label.gate for query in asked.queries}
    report = conclude(plan, store, job.fingerprint, gates, partial(commit_table, table))
    done = cast(int, figures["units"]) + cast(int, figures["failed"])
    left = left_by(guard, figures, units=len(todo) - done, rows=sum(rows) - cast(int, figures["rows"]))
    for problem in [*report.problems, *([left.sentence()] if left else [])]:
        log.warning("%s", problem)
    return RetryReport(audit=report, figures=figures, budget=left and left.to_json())


def _changed(fields: Mapping[str, object], overrides: Collection[str]) -> dict[str, object]:
    changed = copy.deepcopy(dict(fields))
    for override in overrides:
        _set(changed, override)
    return changed


def _set(fields: dict[str, Any], override: str) -> None:
    """`label.` means each of several labels."""
    (section, *steps), value = split_override(override)
    key = ".".join((section, *steps))
    if not any(key == name or key.startswith(f"{name}.") for name in SETTABLE):
        raise SpecError(
            f"--set {key}: a retry goes by the recipe of the run, which never mixes with another; "
            f"it takes {', '.join(SETTABLE[:-1])} and {SETTABLE[-1]}"
        )
    several = fields.get("labels") if section == "label" else None
    for target in several or [fields.setdefault(section, {})]:
        for step in steps[:-1]:
            target = target.setdefault(step, {})
            if not isinstance(target, dict):
                raise SpecError(f"--set {key}: {step} is not a section")
        target[steps[-1]] = value


def _reasons(units: Sequence[Unit], store: Store, fingerprint: str) -> dict[Unit, dict[str, int]]:
    """Rejected rows of every part by code. Raises Refused where one is missing, damaged or stale.

    Of a file that is gone there may be no part.
    """
    census = Census(store, {unit.part: unit for unit in units}, fingerprint)
    reasons = {one.part: one.stamp.reasons for one in census.stamps() if one.is_sound and one.stamp}
    units = [unit for unit in units if unit.file.state != "gone" or unit.part in census.parts]
    if bad := [unit.part for unit in units if unit.part not in reasons]:
        raise Refused(
            f"{len(bad)} of {len(units)} parts are missing, damaged or made from something else, the first {bad[0]}: "
            "run it to the end first"
        )
    census.save()
    return {unit: reasons[unit.part] for unit in units}


def _refuse_same_texts(spec: Spec, overrides: Collection[str]) -> None:
    """Rows without a label in their text, greedy and in the same room, would have the same text again."""
    is_longer = any(override.startswith("label.max_new_tokens_on_retry=") for override in overrides)
    brings_own = spec.source.format == "openai"  # a temperature, perhaps
    if is_longer or brings_own:
        return
    if not any(query.sampling.temperature or query.label.retry_temperatures for query in spec.queries):
        raise Refused(
            "rows rejected for 'parse' would get the same texts again: add --set label.retry_temperatures=[0.7], or "
            "--set label.max_new_tokens_on_retry=N for texts that were cut off, or name other reasons by --reason"
        )
