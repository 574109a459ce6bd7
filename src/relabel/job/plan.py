"""`relabel plan`: what a run would find and do, as figures. Writes nothing, loads no weights and starts no Ray."""

from __future__ import annotations

from relabel.data.output.audit import audit
from relabel.data.output.binding import check_recipe
from relabel.data.store.store import Store
from relabel.engine import model_identity
from relabel.errors import Refused
from relabel.job.engine import in_words_of_the_spec
from relabel.job.prepare import resolve
from relabel.spec import Spec


@in_words_of_the_spec()
def plan(spec: Spec) -> dict[str, object]:
    """What a run would find and do, as figures. Raises Refused like a run."""
    resolved = resolve(spec, model_identity(spec.model.path, spec.model.revision))
    store = _existing(spec.output.path)
    known = check_recipe(store, resolved.recipe) if store else None
    planned = resolved.plan(known)
    return {
        "files": len(planned.files),
        "units": planned.num_units,
        "rows": planned.num_rows,
        "unit_rows": resolved.unit_rows(known),
        "units_done": audit(planned, store, known.fingerprint).published if store and known else 0,
        "unreadable": [{"file": path, "why": why} for path, why in planned.unreadable],
    }


def _existing(url: str) -> Store | None:
    try:
        return Store(url, create=False)
    except Refused:
        return None
