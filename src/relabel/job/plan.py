"""`relabel plan`: what a run would find and do, as figures. Starts no Ray.

Without a sample it writes nothing and loads no weights. What is predicted from one is kept in the output.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from relabel.data.output.audit import audit
from relabel.data.output.binding import check_recipe
from relabel.data.store.store import Store
from relabel.errors import Refused, StoreFailed
from relabel.job.engine import in_words_of_the_spec
from relabel.job.engines.choice import identity_of, settled
from relabel.job.prepare import existing, on_its_day, resolve
from relabel.job.rejects.first_rows import first_rows
from relabel.job.sample.kept import write_forecast
from relabel.spec import Spec

if TYPE_CHECKING:
    from relabel.job.sample.predict import Ask

log = logging.getLogger("relabel")


@in_words_of_the_spec()
def plan(spec: Spec, ask: Ask | None = None) -> dict[str, object]:
    """What a run would find and do, as figures; with `ask` also what it costs. Raises Refused like a run.

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
    job = resolved.job(planned.columns, known and known.fingerprint)
    tally = first_rows(planned, resolved.encoder, job)
    figures: dict[str, object] = {
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
    if ask is None:
        return figures
    from relabel.job.sample.predict import predict  # what generates

    gone = sum(unit.num_rows for unit in planned.units if unit.file.state == "gone")
    rows_left = counted.planned_rows - counted.rows if counted else planned.num_rows - gone
    found = predict(
        planned, resolved.encoder, job, ask, rows_left=max(0, rows_left), unit_rows=resolved.unit_rows(known)
    )
    try:
        write_forecast(Store(spec.output.path), found.forecast)
    except (Refused, StoreFailed) as error:
        log.warning("the prediction is not kept, and no run is held against it: %s", error)
    return figures | found.figures
