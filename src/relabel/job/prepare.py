"""Everything that can be refused before work begins: the spec, the source, the model's files, the output.

Runs on the driver, loads no weights and starts no Ray.
"""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from relabel.data.output.manifest import Run, check_recipe, open_run
from relabel.data.output.recipe import fingerprint, make_recipe
from relabel.data.prompts.template import check_columns
from relabel.data.sources import absolute_source, source_root
from relabel.data.sources.files import absolute, matches
from relabel.data.sources.plan import Plan, make_plan
from relabel.data.store.store import Store
from relabel.engine import model_identity
from relabel.engine.api.constraint import check_constraint
from relabel.errors import SourceRefused, SpecError
from relabel.job.encoding.row import RowEncoder
from relabel.job.engine import constraint_of
from relabel.job.job import Job, Retry
from relabel.job.stages.block import MAX_BLOCK_BYTES
from relabel.spec import Spec
from relabel.version import __version__

TEXT_ROWS, IMAGE_ROWS = 1024, 128
PACKAGES = ("ray", "torch", "transformers", "tokenizers", "pyarrow", "pillow")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A run that may begin: what is planned, and what every stage must know."""

    job: Job
    run: Run


def prepare(spec: Spec, store: Store, *, redo_changed: bool = False) -> Prepared:
    """Check a spec against its model, source and output, and write down the plan. Raises Refused with the remedy."""
    _refuse_output_in_source(spec, store.url)
    identity = model_identity(spec.model.path, spec.model.revision)
    recipe = make_recipe(spec, identity)
    spec = _pinned(spec, identity)
    encoder = make_encoder(spec)
    known = check_recipe(store, recipe)
    unit_rows = known.unit_rows if known else default_unit_rows(spec, encoder)

    def replan(before: Plan | None) -> Plan:
        plan = make_plan(spec.source, unit_rows, before, redo_changed=redo_changed)
        check_plan(plan, spec, encoder)
        return plan

    run = open_run(store, recipe, unit_rows=unit_rows, versions=_versions(), replan=replan)
    return Prepared(job=make_job(spec, run.fingerprint, run.plan.columns), run=run)


def prepare_retry(spec: Spec, asked: Spec, known: Run, store: Store, retry: Retry) -> Prepared:
    """Check that a run's source and model are still those of its parts. Writes nothing, raises Refused like a run.

    `spec` is what the parts were made by, `asked` the same with what a retry may set. Files that came since are left to
    the next run, and where the model's branch has moved since, its commit of then is asked.
    """
    identity = model_identity(spec.model.path, known.recipe["model_identity"].get("revision", spec.model.revision))
    check_recipe(store, make_recipe(spec, identity))
    asked = _pinned(asked, identity)
    encoder = make_encoder(asked)
    paths = {planned.file.path for planned in known.plan.files}
    listed = make_plan(spec.source, known.unit_rows, known.plan)
    plan = replace(known.plan, files=tuple(planned for planned in listed.files if planned.file.path in paths))
    check_plan(plan, asked, encoder)
    job = replace(make_job(asked, known.fingerprint, plan.columns), retry=retry)
    return Prepared(job=job, run=replace(known, plan=plan))


def make_encoder(spec: Spec) -> RowEncoder:
    """The encoder of a spec. Raises SpecError or ModelRefused, also where a label cannot be held to what it says."""
    for query in spec.queries:
        if (constraint := constraint_of(query.label)) is not None:
            check_constraint(constraint)
    return RowEncoder(spec, _image_root(spec))


def make_job(spec: Spec, run_fingerprint: str, columns: pa.Schema) -> Job:
    """What every stage must know of a spec, given the columns of its source; relative paths do not travel."""
    return Job(
        fingerprint=run_fingerprint,
        spec=_travelling(spec),
        kept=pa.schema([columns.field(name) for name in spec.output.keep]),
        image_root=_image_root(spec),
        output=absolute(spec.output.path),
    )


def preview_job(spec: Spec, columns: pa.Schema) -> Job:
    """A job for rows that are never published."""
    return make_job(spec, fingerprint(make_recipe(spec, {})), columns)


def check_source_columns(spec: Spec, encoder: RowEncoder, columns: pa.Schema) -> None:
    """Refuse a column that the prompt, the images or output.keep name and the source lacks."""
    kept = dict.fromkeys(spec.output.keep, "output.keep")
    compared = {query.label.compare_to: "label.compare_to" for query in spec.queries if query.label.compare_to}
    check_columns(kept | compared | encoder.columns, columns.names)


def default_unit_rows(spec: Spec, encoder: RowEncoder) -> int:
    """Rows in a unit where the spec names none: so many that a block stays in bounds, of texts or of images."""
    if spec.source.unit_rows is not None:
        return spec.source.unit_rows
    num_texts = sum(query.sampling.num_samples for query in spec.queries)
    if not encoder.row_bytes:
        return max(1, TEXT_ROWS // num_texts)
    return max(1, min(IMAGE_ROWS, TEXT_ROWS // num_texts, MAX_BLOCK_BYTES // max(encoder.row_bytes, 1)))


def _image_root(spec: Spec) -> str | None:
    source = absolute_source(spec.source)
    return (source.image_root or source_root(source)) if spec.prompt.images else None


def _versions() -> dict[str, str]:
    return {"relabel": __version__, **{name: importlib.metadata.version(name) for name in PACKAGES}}


def _refuse_output_in_source(spec: Spec, output: str) -> None:
    """The next run would take the parts of this one for new source files."""
    for pattern in absolute_source(spec.source).paths:
        if spec.source.format == "parquet" and matches(pattern, f"{output}/part.parquet"):
            raise SpecError(f"output.path {output} lies inside source.path {pattern}; name a folder outside of it")


def _pinned(spec: Spec, identity: Mapping[str, Any]) -> Spec:
    """The spec with the commit that its hub model stands at now: every process of the run loads that one."""
    if "revision" not in identity:
        return spec
    return spec.model_copy(update={"model": spec.model.model_copy(update={"revision": identity["revision"]})})


def _travelling(spec: Spec) -> Spec:
    """The spec for processes that run in other folders: what is relative to this one is made absolute."""
    path = os.path.expanduser(spec.model.path)
    model = spec.model.model_copy(update={"path": os.path.abspath(path)}) if os.path.isdir(path) else spec.model
    return spec.model_copy(update={"source": absolute_source(spec.source), "model": model})


def check_plan(plan: Plan, spec: Spec, encoder: RowEncoder) -> None:
    if not plan.files:
        raise SourceRefused(f"no file of the source can be read; the first: {plan.unreadable[0][1]}")
    check_source_columns(spec, encoder, plan.columns)
