"""What a run wrote down of itself in the output: `_run.json`, then `_plan-00001.json`, ... for each change of plan.

A later document overrides an earlier one file by file. Knows how they are read; who may write them is the business of
`binding`. Knows nothing of sources or of what is in parts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from relabel.data.labels.columns import labels_of, output_schema
from relabel.data.sources.plan import Plan, PlannedFile
from relabel.data.store.store import Store
from relabel.errors import Refused
from relabel.spec import Gate

RUN = "_run.json"
GATES = "_gates.json"
"""The limits that the newest run was judged by: the one document that may change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """An output folder's recipe and its newest plan."""

    fingerprint: str
    recipe: Mapping[str, Any]
    unit_rows: int
    versions: Mapping[str, str]
    """Of the packages that the first process ran with; for the reader, nothing is decided by them."""
    plan: Plan
    num_documents: int
    generation: int = 0
    """How often `_run.json` was written over by another recipe, before there was any part."""
    former_parts: frozenset[str] = field(default=frozenset(), compare=False)
    """Names that an earlier plan gave to parts and a later one did not; a still later one may again."""

    @property
    def schema(self) -> pa.Schema:
        """The schema of every part."""
        kept = [self.plan.columns.field(name) for name in self.recipe["output"]["keep"]]
        return output_schema(pa.schema(kept), labels_of(self.recipe), self.recipe["sampling"].get("num_samples", 1))


def read_run(store: Store) -> Run | None:
    """What is written down in the folder, or None if nothing is."""
    if (first := store.read_json(RUN)) is None:
        return None
    try:
        run = first_run(first, Plan.from_json(first["plan"]))
        while (change := store.read_json(later_name(run.generation, run.num_documents))) is not None:
            plan = _merge(run.plan, change)
            former = run.former_parts | _lost(run.plan, change)
            run = replace(run, plan=plan, num_documents=run.num_documents + 1, former_parts=former)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Refused(
            f"{store.url}/{RUN} or a _plan-*.json there is not what this version writes: {error!r}"
        ) from error
    return run


def write_gates(store: Store, gates: Mapping[str, Gate]) -> None:
    """Note the limits of each label by name, for whoever judges the output without its spec."""
    limits = {name: gate.model_dump(exclude_none=True) for name, gate in gates.items()}
    if limits != (store.read_json(GATES) or {name: {} for name in gates}):
        store.put_json(GATES, limits)


def read_gates(store: Store) -> dict[str, Any]:
    """The limits of each label by name, as plain data; none where there are none."""
    return store.read_json(GATES) or {}


def first_run(first: Mapping[str, Any], plan: Plan) -> Run:
    return Run(
        fingerprint=first["fingerprint"],
        recipe=first["recipe"],
        unit_rows=first["unit_rows"],
        versions=first["versions"],
        plan=plan,
        num_documents=1,
        generation=first.get("generation", 0),
    )


def _lost(plan: Plan, change: Mapping[str, Any]) -> frozenset[str]:
    """Parts of the files that a change touches, as the plan has them: a nightly run adds few files to thousands."""
    touched = {planned["path"] for planned in change["plan"]["files"]} | set(change["removed"])
    return frozenset(unit.part for planned in plan.files if planned.file.path in touched for unit in planned.units)


def later_name(generation: int, index: int) -> str:
    return f"_plan-{generation}-{index:05d}.json" if generation else f"_plan-{index:05d}.json"


def difference(known: Plan, plan: Plan) -> dict[str, Any] | None:
    before = {planned.file.path: planned for planned in known.files}
    after = {planned.file.path: planned for planned in plan.files}
    changed = tuple(
        planned for path, planned in after.items() if path not in before or _layout(before[path]) != _layout(planned)
    )
    removed = sorted(before.keys() - after.keys())
    if not changed and not removed and dict(known.unreadable).keys() == dict(plan.unreadable).keys():
        return None
    return {"plan": replace(plan, files=changed).to_json(), "removed": removed}


def _layout(planned: PlannedFile) -> tuple[Any, ...]:
    """What parts depend on. Not the URL: the same file may be reached by another way."""
    units = [(unit.index, unit.first_row, unit.num_rows, unit.offset) for unit in planned.units]
    return planned.file.size, planned.file.version, units


def _merge(plan: Plan, change: Mapping[str, Any]) -> Plan:
    later = Plan.from_json(change["plan"])
    files = {planned.file.path: planned for planned in (*plan.files, *later.files)}
    gone = set(change["removed"])
    kept = tuple(files[path] for path in sorted(files) if path not in gone)
    # The first readable file fixed the types of the kept columns, and with them the schema of every part.
    columns = plan.columns if plan.files else later.columns
    return Plan(files=kept, unreadable=later.unreadable, columns=columns)


def refuse_bad_names(plan: Plan) -> None:
    """Stores know no control characters, and no text that is not Unicode."""
    for planned in plan.files:
        path = planned.file.path
        if any(ord(char) < 32 or ord(char) == 127 or 0xD800 <= ord(char) < 0xE000 for char in path):
            raise Refused(f"the source file {path!r} has a character in its name that no part can have: rename it")
