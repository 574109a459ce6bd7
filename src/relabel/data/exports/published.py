"""The rows of an output as a run published them, unit by unit in the order of the source.

Knows parts and what makes them count. Never opens the source.
"""

from __future__ import annotations

import pyarrow as pa

from relabel.data.output.manifest import Run
from relabel.data.sources.unit import Unit
from relabel.data.store.store import Store
from relabel.errors import PartDamaged


def published_rows(store: Store, run: Run, unit: Unit) -> pa.Table | None:
    """The rows of a unit, or None where its part is not there, damaged, or made from something else."""
    try:
        part = store.read(unit.part)
    except PartDamaged:
        return None
    is_ours = part.stamp.is_of(unit, run.fingerprint) and part.rows.schema.equals(run.schema)
    return part.rows.replace_schema_metadata() if is_ours else None
