"""Everything that can be refused before work begins: the spec, the source, the model's files, the output.

Runs on the driver, loads no weights and starts no Ray.
"""

from __future__ import annotations

import importlib.metadata
import logging
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from functools import partial

import pyarrow as pa

from relabel.data.output.binding import check_recipe, open_run
from relabel.data.output.manifest import Run, read_run
from relabel.data.output.recipe import fingerprint, make_recipe
from relabel.data.prompts.reads import ROW
from relabel.data.sources.files import absolute
from relabel.data.sources.finding import matches
from relabel.data.sources.plan import Plan, PlannedFile
from relabel.data.sources.planning import OnPlanned, changed_files, make_plan
from relabel.data.sources.roots import absolute_source, source_root
from relabel.data.store.store import Store
from relabel.data.tables.place import refuse_place
from relabel.engine.api.constraint import check_constraint
from relabel.errors import PartDamaged, Refused, SourceRefused, SpecError
from relabel.job.encoding.columns import needed_columns, take_columns
from relabel.job.encoding.row import RowEncoder
from relabel.job.engine import constraint_of, in_words_of_the_spec
from relabel.job.engines.choice import engine_identity, identity_of, settled
from relabel.job.job import Job, Retry, kept_of
from relabel.job.stages.block import MAX_BLOCK_BYTES
from relabel.spec import Spec
from relabel.version import __version__

log = logging.getLogger("relabel")

TEXT_ROWS, IMAGE_ROWS = 1024, 128
NUM_READERS = 16
"""The reads of an object store are waits of some 20 ms each."""
PACKAGES = ("ray", "torch", "transformers", "tokenizers", "pyarrow", "pillow")


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """A spec whose model and labels go together, before its source and its output are looked at."""

    recipe: Mapping[str, object]
    """What decides the result, as the user wrote it: an output is known by this."""
    spec: Spec
    """The spec as every process takes it, whatever its working directory: nothing below makes a path absolute again."""
    encoder: RowEncoder
    """Encodes rows of the source for the model."""

    def plan(self, known: Run | None, *, redo_changed: bool = False, on_planned: OnPlanned | None = None) -> Plan:
        """The units of the source, on top of what is known. Raises SourceRefused, SourceChanged or SpecError."""
        plan = make_plan(
            self.spec.source,
            self.unit_rows(known),
            known and known.plan,
            redo_changed=redo_changed,
            kept=None if self.spec.output.keep == "all" else self.spec.output.named,
            needed=needed_columns(self.spec, self.encoder),
            on_planned=on_planned,
        )
        self._check(plan)
        return plan

    def plan_again(self, known: Run) -> Plan:
        """The known plan as its files are now: those that came since are left to the next run."""
        paths = {planned.file.path for planned in known.plan.files}
        listed = make_plan(
            self.spec.source, known.unit_rows, known.plan, needed=needed_columns(self.spec, self.encoder)
        )
        plan = replace(known.plan, files=tuple(planned for planned in listed.files if planned.file.path in paths))
        self._check(plan)
        return plan

    def unit_rows(self, known: Run | None) -> int:
        """Rows in a unit: as they were, else as the spec or its kind of rows say."""
        return known.unit_rows if known else default_unit_rows(self.spec, self.encoder)

    def job(self, columns: pa.Schema, known: str | None = None, retry: Retry | None = None) -> Job:
        """What every stage must know, given the columns of the source and the fingerprint by which its output is known.

        An output that an earlier version began may have another one than its recipe has now.
        """
        return Job(
            fingerprint=known or fingerprint(self.recipe),
            spec=self.spec,
            kept=kept_of(self.spec, columns),
            has_row=ROW in columns.names,
            reasoning=self.encoder.reasoning,
            retry=retry,
        )

    def _check(self, plan: Plan) -> None:
        if len(plan.files) == len(plan.gone):
            raise SourceRefused(f"no file of the source can be read; the first: {plan.unreadable[0][1]}")
        if not plan.columns.names and plan.notes:
            raise SourceRefused(f"no row of the source has columns: {plan.notes[0]}")
        take_columns(self.spec, self.encoder, plan.columns)
        if not plan.num_rows:
            raise SourceRefused("the source has no rows; name files that hold some in source.path")


@in_words_of_the_spec()
def prepare(
    spec: Spec, store: Store, *, redo_changed: bool = False, on_planned: OnPlanned | None = None
) -> tuple[Job, Plan, RowEncoder]:
    """Check a spec against its model, source and output, and write down the plan. Raises Refused with the remedy.

    The encoder is that of the rows, for whoever looks at some of them on the driver.
    """
    spec = settled(spec, store)
    identity = identity_of(spec)
    resolved = on_its_day(resolve(spec, identity), spec, identity, store)
    _refuse_places(resolved.spec, store.url)
    plan = partial(resolved.plan, redo_changed=redo_changed, on_planned=on_planned)
    run = open_run(
        store,
        resolved.recipe,
        unit_rows=resolved.unit_rows(None),
        versions=_versions(),
        replan=lambda known: _refuse_untold(plan(known), known, store),
    )
    return resolved.job(run.plan.columns, run.fingerprint), run.plan, resolved.encoder


def _refuse_untold(plan: Plan, known: Run | None, store: Store) -> Plan:
    """Refuse files that are another version now and whose parts, of an earlier version of relabel, do not say what was
    read of their rows: nobody can tell then whether they are the same."""
    before = {planned.file.path: planned.file.state for planned in known.plan.files} if known else {}
    new = [one for one in plan.files if one.file.state == "touched" and before.get(one.file.path) == "there"]

    def is_untold(planned: PlannedFile) -> bool:
        for unit in planned.units:
            with suppress(PartDamaged):
                return not store.read_stamp(unit.part).digest
        return False

    with ThreadPoolExecutor(NUM_READERS) as threads:
        untold = [one.file.path for one, is_so in zip(new, threads.map(is_untold, new), strict=True) if is_so]
    if untold:
        raise changed_files(untold)
    return plan


@in_words_of_the_spec()
def prepare_retry(spec: Spec, asked: Spec, known: Run, store: Store, retry: Retry) -> tuple[Job, Plan]:
    """Check that a run's source and model are still those of its parts. Writes nothing, raises Refused like a run.

    `spec` is what the parts were made by, `asked` the same with what a retry may set. Where the model's branch has
    moved since, its commit of then is asked.
    """
    identity = identity_of(spec, known.recorded.model_identity.revision)
    check_recipe(store, make_recipe(spec, identity, engine_identity(spec)))
    resolved = resolve(asked, identity)
    plan = resolved.plan_again(known)
    return resolved.job(plan.columns, known.fingerprint, retry), plan


@in_words_of_the_spec()
def resolve(spec: Spec, identity: Mapping[str, object]) -> Resolved:
    """Check a spec by itself and against its model's files. Raises SpecError or ModelRefused.

    `identity` is that of its model; a hub's has the commit that its name stands for now, and every process loads that
    one. Without one the recipe is that of no output.
    """
    recipe = make_recipe(spec, identity, engine_identity(spec) if identity else {})
    for query in spec.queries:
        if (constraint := constraint_of(query.label)) is not None:
            check_constraint(constraint)
    spec = _anywhere(spec, identity)
    return Resolved(recipe=recipe, spec=spec, encoder=RowEncoder(spec, spec.source.image_root))


def existing(url: str) -> Store | None:
    """The store at a path or URL, None where there is none yet."""
    try:
        return Store(url, create=False)
    except Refused:
        return None


def on_its_day(resolved: Resolved, spec: Spec, identity: Mapping[str, object], store: Store | None) -> Resolved:
    """The same, with the day that prompts take for today settled where they write it: that of the output's first run.

    An output that an earlier version began knows no day, and goes on with the day of each run.
    """
    if spec.prompt.date is not None or not resolved.encoder.writes_the_day:
        return resolved
    known = read_run(store) if store else None
    if known is not None and fingerprint(known.recipe) == fingerprint(resolved.recipe):
        log.warning("the chat template writes today's date, and earlier runs into this output did not note theirs")
        return resolved
    noted = known and known.recipe["prompt"].get("date")
    day = date.fromisoformat(noted) if isinstance(noted, str) else date.today()
    log.warning("the chat template writes today's date: this output takes %s for today; prompt.date sets it", day)
    return resolve(spec.model_copy(update={"prompt": spec.prompt.model_copy(update={"date": day})}), identity)


def _anywhere(spec: Spec, identity: Mapping[str, object]) -> Spec:
    """The spec with what depends on the working directory and on the day settled."""
    source = absolute_source(spec.source)
    # paths in a chat lead nowhere but to a root that the spec names
    root = source.image_root if spec.prompt.images or spec.prompt.messages is not None else None
    if root is None and spec.prompt.images:
        root = source_root(source)
    path, adapter = os.path.expanduser(spec.model.path), spec.model.adapter
    model = {
        "path": os.path.abspath(path) if os.path.isdir(path) else spec.model.path,
        "adapter": adapter if adapter is None or "://" in adapter else os.path.abspath(os.path.expanduser(adapter)),
        "revision": identity.get("revision", spec.model.revision),
    }
    return spec.model_copy(
        update={
            "source": source.model_copy(update={"image_root": root}),
            "model": spec.model.model_copy(update=model),
            "output": spec.output.model_copy(update={"path": absolute(spec.output.path)}),
        }
    )


def default_unit_rows(spec: Spec, encoder: RowEncoder) -> int:
    """Rows in a unit where the spec names none: so many that a block stays in bounds, of texts or of images."""
    if spec.source.unit_rows is not None:
        return spec.source.unit_rows
    num_texts = sum(query.sampling.num_samples for query in spec.queries)
    if not encoder.row_bytes:
        return max(1, TEXT_ROWS // num_texts)
    return max(1, min(IMAGE_ROWS, TEXT_ROWS // num_texts, MAX_BLOCK_BYTES // max(encoder.row_bytes, 1)))


def _versions() -> dict[str, str]:
    return {"relabel": __version__, **{name: importlib.metadata.version(name) for name in PACKAGES}}


def _refuse_places(spec: Spec, output: str) -> None:
    """The next run would take the parts of this one, or the files of its table, for new source files."""
    for pattern in (parquet := spec.source.paths if spec.source.format == "parquet" else []):
        if matches(pattern, f"{output}/part.parquet"):
            raise SpecError(f"output.path {output} lies inside source.path {pattern}; name a folder outside of it")
    refuse_place(spec.output.table, output, parquet)
