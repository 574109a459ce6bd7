"""What a run wrote down of itself in the output: `_run.json`, then `_plan-00001.json`, ... for each change of plan.

A later document overrides an earlier one file by file. Knows how they are read; who may write them is the business of
`binding`. Knows nothing of sources or of what is in parts.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Annotated
from weakref import WeakKeyDictionary

import pyarrow as pa
from pydantic import Field, StrictInt, StrictStr, TypeAdapter

from relabel.data.labels.columns import labels_of, output_schema, own_columns
from relabel.data.labels.kept import kept_columns
from relabel.data.output.recipe import Recipe, fingerprint
from relabel.data.output.recorded import RecordedSpec, read_recipe
from relabel.data.sources.plan import Plan
from relabel.data.store.fault import first_fault
from relabel.data.store.objects import Version
from relabel.data.store.store import Store
from relabel.errors import Refused
from relabel.spec import Gate

RUN = "_run.json"
SUCCESS = "_SUCCESS"
GATES = "_gates.json"
"""The limits that the newest run was judged by: the one document that may change."""
_MOST_AT_ONCE = 64
"""Documents that are read side by side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """An output folder's recipe and its newest plan."""

    fingerprint: str
    recipe: Recipe
    unit_rows: int
    versions: Mapping[str, str]
    """Of the packages that the first process ran with; for the reader, nothing is decided by them."""
    plan: Plan
    num_documents: int = 1
    """Of the manifest: `_run.json` and the changes of its plan."""
    generation: int = 0
    """How often `_run.json` was written over by another recipe, before there was any part."""
    former_fingerprints: frozenset[str] = frozenset()
    """Of the recipes that `_run.json` was of before: a process of theirs may still publish a part."""
    former_parts: frozenset[str] = field(default=frozenset(), compare=False)
    """Names that an earlier plan gave to parts and a later one did not; a still later one may again."""

    @property
    def recorded(self) -> RecordedSpec:
        """What is read back of the recipe. Raises ValueError where that is not sound."""
        return read_recipe(self.recipe)

    @property
    def kept(self) -> pa.Schema:
        """The columns of the source that stand in every part. Raises ValueError where the recipe is not sound."""
        own = own_columns(labels_of(self.recipe), self.recorded.sampling.num_samples)
        return kept_columns(self.recorded.output.keep, self.plan.columns, own)

    @property
    def schema(self) -> pa.Schema:
        """The schema of every part. Raises ValueError where the recipe is not sound."""
        return output_schema(self.kept, labels_of(self.recipe), self.recorded.sampling.num_samples)

    def to_json(self) -> dict[str, object]:
        """`_run.json` of a run that begins."""
        return {
            "fingerprint": self.fingerprint,
            "recipe": self.recipe,
            "unit_rows": self.unit_rows,
            "versions": dict(self.versions),
            "plan": self.plan.to_json(),
            **({"generation": self.generation} if self.generation else {}),
            **({"former_fingerprints": sorted(self.former_fingerprints)} if self.former_fingerprints else {}),
        }


def run_of(store: Store) -> Run:
    """What is written down in the folder, for whoever has no recipe of his own to compare it with.

    Raises Refused where nothing is, or where the recipe is not one that a run could have written.
    """
    if (run := read_run(store)) is None:
        raise Refused(f"{store.url} holds no {RUN}: no run was begun there")
    try:
        _ = run.schema  # reads all of the recipe that this room knows
    except ValueError as error:
        raise Refused(
            f"{store.url}/{RUN} has a recipe that is not what this version writes: {first_fault(error)}"
        ) from error
    return run


def read_run(store: Store) -> Run | None:
    """What is written down in the folder, or None if nothing is."""
    version = store.version(RUN)  # before the document: a later one is seen next time
    if version is None:
        return None
    seen = _SEEN.get(store)
    try:
        if seen is not None and version.get("e_tag") and seen.versions == (version, _version_of_last(store, seen.run)):
            run = seen.run
        elif (first := store.read_json(RUN)) is None:
            return None
        else:
            run = _FIRST.validate_python(first).run()
        run = _changed(run, _changes(store, run))
    except (OSError, ValueError, RecursionError, pa.ArrowException) as error:  # of Arrow: for a schema that is damaged
        raise Refused(
            f"{store.url}/{RUN} or a _plan-*.json there is not what this version writes: {first_fault(error)}"
        ) from error
    _SEEN[store] = _Seen(run=run, versions=(version, _version_of_last(store, run)))
    return run


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What was read of a store, and the versions of its first and of its last document."""

    run: Run
    versions: tuple[Version, Version | None]


_SEEN: WeakKeyDictionary[Store, _Seen] = WeakKeyDictionary()
"""A run looks six times, and a plan of 400,000 units takes seconds to read. Nobody writes over a document but
`_run.json`; where somebody did by hand, the next process sees it."""


def remember(store: Store, run: Run, version: Version) -> None:
    """That this version of `_run.json` says this. What is remembered is a run as it would be read back."""
    plan = Plan(files=run.plan.files, unreadable=run.plan.unreadable, columns=run.plan.columns)
    recipe = json.loads(json.dumps(run.recipe))
    _SEEN[store] = _Seen(run=replace(run, recipe=recipe, plan=plan), versions=(version, None))


def _version_of_last(store: Store, run: Run) -> Version | None:
    return store.version(later_name(run.generation, run.num_documents - 1)) if run.num_documents > 1 else None


def _changes(store: Store, run: Run) -> list[_Change]:
    """The documents behind those of a run: first one, then twice as many at once, because only reading tells how many
    there are and each takes an object store some 20 ms."""
    changes: list[_Change] = []
    number = 1
    while True:
        first = run.num_documents + len(changes)
        names = [later_name(run.generation, index) for index in range(first, first + number)]
        with ThreadPoolExecutor(len(names)) as threads:
            found = list(threads.map(store.read_json, names))
        documents = list(itertools.takewhile(lambda document: document is not None, found))
        changes += (_CHANGE.validate_python(document) for document in documents)
        if len(documents) < len(names):
            return changes
        number = min(2 * number, _MOST_AT_ONCE)


def _changed(run: Run, changes: Sequence[_Change]) -> Run:
    """The run with the changes of its plan, one after the other."""
    if not changes:
        return run
    files = {planned.file.path: planned for planned in run.plan.files}
    columns, unreadable, former = run.plan.columns, run.plan.unreadable, set(run.former_parts)
    for change in changes:
        later = Plan.from_json(change.plan)
        # The first readable file fixed the types of the kept columns, and with them the schema of every part.
        columns, unreadable = columns if files else later.columns, later.unreadable
        for path in {planned.file.path for planned in later.files} | change.removed:
            if (old := files.pop(path, None)) is not None:
                former.update(unit.part for unit in old.units)
        files |= {planned.file.path: planned for planned in later.files if planned.file.path not in change.removed}
    plan = Plan(files=tuple(files[path] for path in sorted(files)), unreadable=unreadable, columns=columns)
    return replace(run, plan=plan, num_documents=run.num_documents + len(changes), former_parts=frozenset(former))


def write_gates(store: Store, gates: Mapping[str, Gate]) -> None:
    """Note the limits of each label by name, for whoever judges the output without its spec."""
    limits = {name: gate.model_dump(exclude_none=True) for name, gate in gates.items()}
    if limits != (store.read_json(GATES) or {name: {} for name in gates}):
        store.put_json(GATES, limits)


def read_gates(store: Store) -> dict[str, Gate]:
    """The limits of each label by name; none where there are none. Raises Refused for anything else."""
    try:
        noted = _LIMITS.validate_python({} if (limits := store.read_json(GATES)) is None else limits)
        # what is not noted was not checked, also where a spec would have it checked by default
        return {name: Gate.model_validate({"max_rejected": None, **gate}) for name, gate in noted.items()}
    except ValueError as error:
        raise Refused(f"{store.url}/{GATES} is not what this version writes: {first_fault(error)}") from error


_LIMITS = TypeAdapter(dict[str, dict[str, object]])


@dataclass(frozen=True, slots=True, kw_only=True)
class _First:
    """`_run.json` as it stands there."""

    fingerprint: StrictStr
    recipe: Recipe
    unit_rows: Annotated[StrictInt, Field(ge=1)]
    versions: dict[str, StrictStr]
    plan: object
    generation: StrictInt = 0
    former_fingerprints: frozenset[StrictStr] = frozenset()

    def run(self) -> Run:
        fingerprint(self.recipe)  # raises ValueError for a number that no recipe has, such as NaN
        return Run(
            fingerprint=self.fingerprint,
            recipe=self.recipe,
            unit_rows=self.unit_rows,
            versions=self.versions,
            plan=Plan.from_json(self.plan),
            generation=self.generation,
            former_fingerprints=self.former_fingerprints,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    """A `_plan-*.json` as it stands there: files that are new or others now, and paths of those that are gone."""

    plan: object
    removed: frozenset[StrictStr]


_FIRST, _CHANGE = TypeAdapter(_First), TypeAdapter(_Change)


def later_name(generation: int, index: int) -> str:
    return f"_plan-{generation}-{index:05d}.json" if generation else f"_plan-{index:05d}.json"
