"""The first rows of a source as a run would encode them: how many have no prompt, and why.

Runs on the driver, before anything is generated; what cannot be read here a run counts by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from relabel.data.sources import read
from relabel.data.sources.plan import Plan
from relabel.data.sources.unit import Unit
from relabel.errors import SourceUnreadable
from relabel.job.encoding.row import RowEncoder
from relabel.job.job import Job
from relabel.job.rejects.tally import RejectTally
from relabel.rejected import Rejected

NUM_ROWS = 64
"""Encoding them takes less than a second, of large images three."""
NUM_FILES = 4
"""Files they are taken from, spread over the source: the first may be another than the rest."""


def first_rows(plan: Plan, encoder: RowEncoder, job: Job) -> RejectTally:
    """Encode the first rows of a few files; a row that has no prompt for one of its labels counts as rejected."""
    tally = RejectTally()
    for unit in _spread(plan):
        try:
            tally.add_rows(_reasons(unit, encoder, job))
        except SourceUnreadable:
            continue
    return tally


def _spread(plan: Plan) -> Iterator[Unit]:
    files = [planned for planned in plan.files if planned.units and planned.file.state != "gone"]
    num_files = min(NUM_FILES, len(files))
    for at in range(num_files):
        left = NUM_ROWS // num_files
        for unit in files[at * len(files) // num_files].units:
            yield replace(unit, num_rows=min(unit.num_rows, left))
            left -= unit.num_rows
            if left <= 0:
                break


def _reasons(unit: Unit, encoder: RowEncoder, job: Job) -> Iterator[str | None]:
    rows = read(unit, job.spec.source, list(encoder.columns), job.kept)
    for at, why in enumerate(rows.reasons):
        row = {column: values[at] for column, values in rows.columns.items()}
        encoded = [why] if why is not None else encoder.encode(row)
        yield next((str(one) for one in encoded if isinstance(one, Rejected)), None)
