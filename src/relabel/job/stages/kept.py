"""The part of a unit whose file is another version now, and whose rows read the same: it stays, and is stamped anew.

Knows stamps; nothing of prompts, engines or Ray.
"""

from __future__ import annotations

from relabel.data.sources.unit import Unit
from relabel.data.store.store import Store
from relabel.errors import PartDamaged
from relabel.job.job import Job


def restamp(unit: Unit, digest: str, job: Job, store: Store) -> None:
    """Publish the part once more, with the version of the file that the unit is of.

    Replaced whole and only as it was read, so that it is the old part or the new one for every reader and after every
    kill; where another process was faster it is looked at again.
    Raises PartDamaged where it cannot be read, or is no longer one of rows with this digest.
    """
    while True:
        part = store.read(unit.part)
        if part.stamp.is_of(unit, job.fingerprint):
            return
        if not part.stamp.is_of_place(unit, job.fingerprint) or part.stamp.digest != digest:
            raise PartDamaged(f"{store.url}/{unit.part} was made from something else meanwhile; run the same command")
        if store.replace(unit.part, part.rows, part.stamp.at(unit.file).to_json(), part.version):
            return
