"""`relabel plan`: what a run would find and do, as figures. Writes nothing, loads no weights and starts no Ray."""

from __future__ import annotations

from relabel.data.output.audit import audit
from relabel.data.output.binding import check_recipe
from relabel.job.engine import in_words_of_the_spec
from relabel.job.engines.choice import identity_of, settled
from relabel.job.prepare import existing, on_its_day, resolve
from relabel.job.rejects.first_rows import first_rows
from relabel.spec import Spec


@in_words_of_the_spec()
def plan(spec: Spec) -> dict[str, object]:
    """What a run would find and do, as figures. Raises Refused like a run.

    `passed_over` counts what lies in the source and is not read, by suffix; `notes` has a sentence for each file
    without rows and for each column whose values may not fit.
    Also looks at the first rows as a run would encode them: `first_rows` has how many of them have no prompt, and
    `problem` the sentence where that is more than `gate.max_rejected`.
    """
    store = existing(spec.output.path)
    spec = settled(spec, store)
    identity = identity_of(spec)
    resolved = on_its_day(resolve(spec, identity), spec, identity, store)
    known = check_recipe(store, resolved.recipe) if store else None
    planned = resolved.plan(known)
    counted = audit(planned, store, known.fingerprint) if store and known else None
    tally = first_rows(planned, resolved.encoder, resolved.job(planned.columns))
    return {
        "files": sum(bool(one.units) and one.file.state != "gone" for one in planned.files),
        "units": counted.units if counted else planned.num_units,
        "rows": counted.planned_rows if counted else planned.num_rows,
        "unit_rows": resolved.unit_rows(known),
        "units_done": counted.published if counted else 0,
        "gone_files": len(planned.gone),
        "dropped_files": len(planned.dropped),
        "passed_over": planned.passed_over,
        "notes": list(planned.notes),
        "unreadable": [{"file": path, "why": why} for path, why in planned.unreadable],
        "first_rows": tally.to_json(),
        "problem": tally.problem(spec.queries),
    }
