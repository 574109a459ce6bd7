"""Which recipe an output belongs to, and how a run comes to own it.

Every document of the manifest but the gates is created once and never changed; of two processes that write the same
one, the second reads it and thinks again. An output without any part is bound to no recipe: another one writes
`_run.json` anew, over the version that it has read, and the changes of its plan have names of their own. Knows nothing
of what is in parts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from relabel.data.output.changes import difference, refuse_bad_names
from relabel.data.output.manifest import GATES, RUN, SUCCESS, Run, later_name, read_run, remember
from relabel.data.output.recipe import Recipe, changed_fields, fingerprint
from relabel.data.sources.plan import Plan
from relabel.data.store.objects import Version
from relabel.data.store.store import Store
from relabel.errors import RecipeChanged, Refused, StoreFailed


def open_run(
    store: Store,
    recipe: Recipe,
    *,
    unit_rows: int,
    versions: Mapping[str, str],
    replan: Callable[[Run | None], Plan],
) -> Run:
    """Begin a run or go on with it: check the folder, plan on top of what is known, write down what is new.

    `replan` gets the run so far, None in a new folder; it is called again if another process wrote in between.
    Raises RecipeChanged if the folder is another recipe's, Refused if it holds files that relabel did not write.
    """
    try:
        found = _look(store, recipe)
        while True:
            plan = replan(found.run)
            if (run := _write_down(store, found, recipe, plan, unit_rows, versions)) is not None:
                return _as_read(store, run)
            before, found = found, _look(store, recipe)
            if found.unbound is not None and found.unbound != before.unbound:
                # It was begun a moment ago: whoever did is at work, and will have parts.
                raise _of_another_recipe(store, found.unbound.run, recipe)
    except StoreFailed as error:
        raise Refused(str(error)) from error


def check_recipe(store: Store, recipe: Recipe) -> Run | None:
    """The run in the folder, None where it has no part of any. Refuses the folder of another recipe or of someone else.

    Recipes are compared as they stand there, by what counts in them: one that an earlier version wrote may have another
    fingerprint, and is gone on with under that.
    """
    try:
        return _look(store, recipe).run
    except StoreFailed as error:
        raise Refused(str(error)) from error


class Binding:
    """A recipe's hold on its output, which another recipe may take as long as there is no part."""

    def __init__(self, store: Store, fingerprint: str) -> None:
        self._store, self._fingerprint = store, fingerprint
        self._seen: Version | None = None

    def check(self) -> None:
        """Before a part is created. Raises RecipeChanged where another recipe has begun in the output meanwhile.

        One look at the version of `_run.json`; the document, which names every unit, is read only where that changed.
        """
        version = self._store.version(RUN)  # before the document: a later one is seen next time
        if version is None or version == self._seen:
            return
        if (run := read_run(self._store)) is not None and run.fingerprint != self._fingerprint:
            raise output_lost(self._store)
        self._seen = version


def output_lost(store: Store) -> RecipeChanged:
    """What is said to a run whose output another recipe took before there was a part of it."""
    return RecipeChanged(
        f"{store.url} was begun anew by another recipe while this run had published nothing there: it is the "
        "other's now, which labels what this run has published anew; use another output.path"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Unbound:
    """A run of another recipe that has no part."""

    run: Run
    version: Version
    """Of its `_run.json`, as it was before that was read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What is written down in a folder that a recipe may be run in."""

    run: Run | None = None
    """The run of this recipe."""
    unbound: _Unbound | None = None


def _look(store: Store, recipe: Recipe) -> _Found:
    version = store.version(RUN)
    run = read_run(store)
    names = {} if run else store.names()
    # Another process may have begun the run between the two looks.
    run = run or (read_run(store) if names else None)
    if run is None and names:
        raise Refused(
            f"{store.url} holds {next(iter(names))!r} and no {RUN}: relabel did not make it; "
            "name a new or empty folder as output.path"
        )
    if run is None or fingerprint(run.recipe) == fingerprint(recipe):
        return _Found(run=run)
    if version is None or store.parts():
        raise _of_another_recipe(store, run, recipe)
    return _Found(unbound=_Unbound(run=run, version=version))


def _of_another_recipe(store: Store, run: Run, recipe: Recipe) -> RecipeChanged:
    fields = "; ".join(changed_fields(run.recipe, recipe)) or "the fingerprint"
    return RecipeChanged(
        f"{store.url} was made by another recipe ({fields}): use the old values, or another output.path"
    )


def _write_down(
    store: Store,
    found: _Found,
    recipe: Recipe,
    plan: Plan,
    unit_rows: int,
    versions: Mapping[str, str],
) -> Run | None:
    """The run with that plan, once it stands in the folder; None where another process wrote something meanwhile."""
    if found.run is not None:
        run = replace(found.run, plan=plan)
        if not (change := difference(found.run.plan, plan)):
            return run
        refuse_bad_names(plan)
        is_written = store.create_json(later_name(run.generation, run.num_documents), change)
        return replace(run, num_documents=run.num_documents + 1) if is_written else None
    refuse_bad_names(plan)
    first = Run(
        fingerprint=fingerprint(recipe),
        recipe=recipe,
        unit_rows=unit_rows,
        versions=versions,
        plan=plan,
        generation=found.unbound.run.generation + 1 if found.unbound else 0,
        former_fingerprints=_former_fingerprints(found.unbound, recipe),
    )
    if found.unbound is None:
        return _written(store, first, None)
    # Planning takes minutes: the other run may have published meanwhile.
    if store.parts():
        raise _of_another_recipe(store, found.unbound.run, recipe)
    store.delete(SUCCESS)  # of a run without a unit: it says nothing of this recipe
    if (written := _written(store, first, found.unbound.version)) is not None:
        store.delete(GATES)
    return written


def _written(store: Store, first: Run, old: Version | None) -> Run | None:
    """The run, once it stands in `_run.json`. To read it back would take seconds, of 400,000 units."""
    version = store.write_json(RUN, first.to_json(), old)
    if version:
        remember(store, first, version)
    return first if version is not None else None


def _as_read(store: Store, run: Run) -> Run:
    """The same, sharing its units with what is read of it from now on: those of 400,000 take 100 MB."""
    read = read_run(store)
    if read is None or read.plan.files != run.plan.files:
        return run
    return replace(run, plan=replace(run.plan, files=read.plan.files))


def _former_fingerprints(unbound: _Unbound | None, recipe: Recipe) -> frozenset[str]:
    if unbound is None:
        return frozenset()
    return (unbound.run.former_fingerprints | {unbound.run.fingerprint}) - {fingerprint(recipe)}
