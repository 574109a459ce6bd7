"""What a plan says that the one before it did not, as it is written down. Knows plans, not where they are kept."""

from __future__ import annotations

from dataclasses import replace

from relabel.data.sources.plan import Plan, PlannedFile
from relabel.errors import Refused


def difference(known: Plan, plan: Plan) -> dict[str, object] | None:
    before = {planned.file.path: planned for planned in known.files}
    after = {planned.file.path: planned for planned in plan.files}
    changed = tuple(planned for path, planned in after.items() if _differs(before.get(path), planned))
    removed = sorted(before.keys() - after.keys())
    if not changed and not removed and dict(known.unreadable).keys() == dict(plan.unreadable).keys():
        return None
    return {"plan": replace(plan, files=changed).to_json(), "removed": removed}


def _differs(before: PlannedFile | None, planned: PlannedFile) -> bool:
    """In what parts depend on. Not the URL: the same file may be reached by another way."""
    if before is None or before is planned:
        return before is None
    one, other = before.file, planned.file
    is_same = (one.size, one.version, one.state) == (other.size, other.version, other.state)
    return not (is_same and before.units.is_like(planned.units))


def refuse_bad_names(plan: Plan) -> None:
    """Stores know no control characters, and no text that is not Unicode."""
    for planned in plan.files:
        path = planned.file.path
        if any(ord(char) < 32 or ord(char) == 127 or 0xD800 <= ord(char) < 0xE000 for char in path):
            raise Refused(f"the source file {path!r} has a character in its name that no part can have: rename it")
