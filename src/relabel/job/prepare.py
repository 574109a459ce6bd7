"""Everything that can be refused before work begins: the spec, the source, the model's files, and what the output
holds.

Runs on the driver, loads no weights and starts no Ray.
"""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from relabel import __version__
from relabel.data.audit import audit
from relabel.data.journal import Run, check_recipe, open_run
from relabel.data.plan import Plan, make_plan
from relabel.data.prompt import check_columns
from relabel.data.recipe import fingerprint, make_recipe
from relabel.data.sources import absolute_source, source_root
from relabel.data.store import Store
from relabel.engine import model_identity
from relabel.errors import Refused, SourceRefused
from relabel.job.block import MAX_BLOCK_BYTES
from relabel.job.context import RunContext
from relabel.job.encode import Encoder
from relabel.spec import Spec

TEXT_ROWS, IMAGE_ROWS = 1024, 128
PACKAGES = ("ray", "torch", "transformers", "tokenizers", "pyarrow", "pillow")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A run that may begin: what is planned, and what every stage must know."""

    context: RunContext
    run: Run


def prepare(spec: Spec, store: Store, *, redo_changed: bool = False) -> Prepared:
    """Check a spec against its model, source and output, and write down the plan. Raises Refused with the remedy."""
    recipe = make_recipe(spec, model_identity(spec.model.path, spec.model.revision))
    encoder = make_encoder(spec)
    known = check_recipe(store, recipe)
    unit_rows = known.unit_rows if known else default_unit_rows(spec, encoder)

    def replan(before: Plan | None) -> Plan:
        plan = make_plan(spec.source, unit_rows, before, redo_changed=redo_changed)
        _check_plan(plan, spec, encoder)
        return plan

    run = open_run(store, recipe, unit_rows=unit_rows, versions=_versions(), replan=replan)
    return Prepared(context=make_context(spec, run.fingerprint, run.plan.columns), run=run)


def make_encoder(spec: Spec) -> Encoder:
    """The encoder of a spec. Raises SpecError or ModelRefused."""
    return Encoder(spec, _image_root(spec))


def make_context(spec: Spec, run_fingerprint: str, columns: pa.Schema) -> RunContext:
    """What every stage must know of a spec, given the columns of its source; relative paths do not travel."""
    return RunContext(
        fingerprint=run_fingerprint,
        spec=spec.model_copy(update={"source": absolute_source(spec.source)}),
        kept=pa.schema([columns.field(name) for name in spec.output.keep]),
        image_root=_image_root(spec),
        output=spec.output.path,
    )


def preview_context(spec: Spec, columns: pa.Schema) -> RunContext:
    """A context for rows that are never published."""
    return make_context(spec, fingerprint(make_recipe(spec, {})), columns)


def check_source_columns(spec: Spec, encoder: Encoder, columns: pa.Schema) -> None:
    """Refuse a column that the prompt, the images or output.keep name and the source lacks."""
    kept = dict.fromkeys(spec.output.keep, "output.keep")
    check_columns(kept | encoder.columns, columns.names)


def default_unit_rows(spec: Spec, encoder: Encoder) -> int:
    """Rows in a unit where the spec names none: so many that the images of a block, at the model's size, stay in
    bounds."""
    if spec.source.unit_rows is not None:
        return spec.source.unit_rows
    if not spec.prompt.images:
        return TEXT_ROWS
    return max(1, min(IMAGE_ROWS, MAX_BLOCK_BYTES // max(encoder.probe_bytes(), 1)))


def _image_root(spec: Spec) -> str | None:
    source = absolute_source(spec.source)
    return (source.image_root or source_root(source)) if spec.prompt.images else None


def _versions() -> dict[str, str]:
    return {"relabel": __version__, **{name: importlib.metadata.version(name) for name in PACKAGES}}


def outlook(spec: Spec) -> dict[str, Any]:
    """What a run would find and do, as figures. Writes nothing; raises Refused like a run."""
    recipe = make_recipe(spec, model_identity(spec.model.path, spec.model.revision))
    encoder = make_encoder(spec)
    store = _existing(spec.output.path)
    known = check_recipe(store, recipe) if store else None
    unit_rows = known.unit_rows if known else default_unit_rows(spec, encoder)
    plan = make_plan(spec.source, unit_rows, known.plan if known else None)
    _check_plan(plan, spec, encoder)
    return {
        "files": len(plan.files),
        "units": sum(len(planned.units) for planned in plan.files),
        "rows": plan.num_rows,
        "unit_rows": unit_rows,
        "units_done": audit(plan, store, fingerprint(recipe)).published if store and known else 0,
        "unreadable": [{"file": path, "why": why} for path, why in plan.unreadable],
    }


def _check_plan(plan: Plan, spec: Spec, encoder: Encoder) -> None:
    if not plan.files:
        raise SourceRefused(f"no file of the source can be read; the first: {plan.unreadable[0][1]}")
    check_source_columns(spec, encoder, plan.columns)


def _existing(url: str) -> Store | None:
    try:
        return Store(url, create=False)
    except Refused:
        return None
