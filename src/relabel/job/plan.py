"""`relabel plan`: what a run would find and do, as figures. Writes nothing, loads no weights and starts no Ray."""

from __future__ import annotations

from typing import Any

from relabel.data.output.audit import audit
from relabel.data.output.manifest import check_recipe
from relabel.data.output.recipe import fingerprint, make_recipe
from relabel.data.sources.plan import make_plan
from relabel.data.store.store import Store
from relabel.engine import model_identity
from relabel.errors import Refused
from relabel.job.prepare import check_plan, default_unit_rows, make_encoder
from relabel.spec import Spec


def outlook(spec: Spec) -> dict[str, Any]:
    """What a run would find and do, as figures. Writes nothing; raises Refused like a run."""
    recipe = make_recipe(spec, model_identity(spec.model.path, spec.model.revision))
    encoder = make_encoder(spec)
    store = _existing(spec.output.path)
    known = check_recipe(store, recipe) if store else None
    unit_rows = known.unit_rows if known else default_unit_rows(spec, encoder)
    plan = make_plan(spec.source, unit_rows, known.plan if known else None)
    check_plan(plan, spec, encoder)
    return {
        "files": len(plan.files),
        "units": plan.num_units,
        "rows": plan.num_rows,
        "unit_rows": unit_rows,
        "units_done": audit(plan, store, fingerprint(recipe)).published if store and known else 0,
        "unreadable": [{"file": path, "why": why} for path, why in plan.unreadable],
    }


def _existing(url: str) -> Store | None:
    try:
        return Store(url, create=False)
    except Refused:
        return None
