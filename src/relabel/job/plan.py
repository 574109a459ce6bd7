"""`relabel plan`: what a run would find and do, as figures. Writes nothing, loads no weights and starts no Ray."""

from __future__ import annotations

from relabel.data.output.audit import audit
from relabel.data.output.binding import check_recipe
from relabel.data.store.store import Store
from relabel.engine import model_identity
from relabel.errors import Refused
from relabel.job.engine import in_words_of_the_spec
from relabel.job.prepare import resolve
from relabel.job.rejects.first_rows import first_rows
from relabel.spec import Spec


@in_words_of_the_spec()
def plan(spec: Spec) -> dict[str, object]:
    """What a run would find and do, as figures. Raises Refused like a run.

    Also looks at the first rows as a run would encode them: `first_rows` has how many of them have no prompt, and
    `problem` the sentence where that is more than `gate.max_rejected`.
    """
    resolved = resolve(spec, model_identity(spec.model.path, spec.model.revision, spec.model.adapter))
    store = _existing(spec.output.path)
    known = check_recipe(store, resolved.recipe) if store else None
    planned = resolved.plan(known)
    tally = first_rows(planned, resolved.encoder, resolved.job(planned.columns))
    return {
        "files": len(planned.files),
        "units": planned.num_units,
        "rows": planned.num_rows,
        "unit_rows": resolved.unit_rows(known),
        "units_done": audit(planned, store, known.fingerprint).published if store and known else 0,
        "unreadable": [{"file": path, "why": why} for path, why in planned.unreadable],
        "first_rows": tally.to_json(),
        "problem": tally.problem(spec.queries),
    }


def _existing(url: str) -> Store | None:
    try:
        return Store(url, create=False)
    except Refused:
        return None
