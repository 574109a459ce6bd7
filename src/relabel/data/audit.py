"""Plan against store: which units are published, which parts do not count, and whether everything is there.

Knows names and stamps, not rows: reading every row is the business of verify.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from relabel.data.journal import read_run
from relabel.data.plan import Plan
from relabel.data.stamp import Stamp
from relabel.data.store import Store
from relabel.data.unit import Unit
from relabel.errors import PartDamaged

SUCCESS = "_SUCCESS"
_NUM_NAMED = 20
"""Names of each kind in the JSON line, which must stay a line when 50,000 parts are missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What the audit counted."""

    units: int
    published: int
    """Units whose part is there and sound."""
    planned_rows: int
    rows: int
    ok: int
    rejected: int
    reasons: dict[str, int]
    missing: tuple[str, ...]
    damaged: tuple[str, ...]
    stale: tuple[str, ...]
    """Parts of another recipe, another version of their source file, or another cut of it."""
    foreign: tuple[str, ...]
    """Visible Parquet files that are no part of the plan."""
    unreadable: tuple[tuple[str, str], ...]
    """Source files that could not be planned, and why."""

    @property
    def complete(self) -> bool:
        return not (self.missing or self.damaged or self.stale or self.foreign or self.unreadable)

    @property
    def problems(self) -> list[str]:
        """One sentence for each kind of thing that is wrong, and one for each unreadable source file."""
        kinds = {
            "missing": "is not published: run the same command again",
            "damaged": "cannot be read back: run the same command again",
            "stale": "was made from something else: run the same command again",
            "foreign": "is not relabel's: move it out of the output",
        }
        names = {kind: getattr(self, kind) for kind in kinds}
        return [
            f"{len(names[kind])} parts {kind}: {names[kind][0]}{' and others' if names[kind][1:] else ''} {what}"
            for kind, what in kinds.items()
            if names[kind]
        ] + [f"the source file {path} is unreadable: {why}" for path, why in self.unreadable]

    def to_json(self) -> dict[str, Any]:
        """The figures; of the names of each kind the first few."""
        counts = ("units", "published", "planned_rows", "rows", "ok", "rejected", "reasons", "complete")
        names = ("missing", "damaged", "stale", "foreign")
        return {
            **{name: getattr(self, name) for name in counts},
            **{f"num_{name}": len(getattr(self, name)) for name in names},
            **{name: list(getattr(self, name)[:_NUM_NAMED]) for name in names},
            "unreadable": [{"file": path, "why": why} for path, why in self.unreadable],
        }


def sweep(plan: Plan, store: Store, fingerprint: str) -> tuple[tuple[Unit, ...], tuple[str, ...]]:
    """At the start of a run: the units that need not be done again, and the parts that were deleted for not counting.

    Deleted are damaged and stale parts of the plan, and parts of this recipe that no plan names any more.
    Where work remains, an old `_SUCCESS` goes too.
    """
    units, parts = _by_part(plan), store.parts()
    stamps = _stamps(store, parts)
    done = tuple(unit for part, unit in units.items() if (stamp := stamps.get(part)) and stamp.is_of(unit, fingerprint))
    sound = {unit.part for unit in done}
    # Read after the listing: a part that another process publishes is in the documents before it is in the listing.
    known = _all_parts(store)
    bad = tuple(part for part in parts if part in units and part not in sound) + tuple(
        part
        for part in parts
        if part not in units and part not in known and (stamp := stamps[part]) and stamp.fingerprint == fingerprint
    )
    if len(done) < len(units) or bad:
        store.delete(SUCCESS)
    for part in bad:
        store.delete(part)
    return done, bad


def audit(plan: Plan, store: Store, fingerprint: str) -> Report:
    """Count what is published against the plan."""
    units, parts = _by_part(plan), store.parts()
    stamps = _stamps(store, parts)
    known = _all_parts(store)
    sound = [stamp for part, unit in units.items() if (stamp := stamps.get(part)) and stamp.is_of(unit, fingerprint)]
    reasons: Counter[str] = Counter()
    for stamp in sound:
        reasons.update(stamp.reasons)
    return Report(
        units=len(units),
        published=len(sound),
        planned_rows=sum(unit.num_rows for unit in units.values()),
        rows=sum(stamp.num_rows for stamp in sound),
        ok=sum(stamp.ok for stamp in sound),
        rejected=sum(stamp.rejected for stamp in sound),
        reasons=dict(sorted(reasons.items())),
        missing=tuple(part for part in units if part not in parts),
        damaged=tuple(part for part in units if part in parts and stamps[part] is None),
        stale=tuple(
            part for part, unit in units.items() if (stamp := stamps.get(part)) and not stamp.is_of(unit, fingerprint)
        ),
        foreign=tuple(part for part in parts if part not in units and part not in known),
        unreadable=plan.unreadable,
    )


def conclude(plan: Plan, store: Store, fingerprint: str) -> Report:
    """At the end of a run: the audit, and `_SUCCESS` if everything that anyone planned here is there."""
    report = audit(plan, store, fingerprint)
    if report.complete and _all_parts(store) <= _by_part(plan).keys():
        store.put_json(SUCCESS, {"fingerprint": fingerprint, **report.to_json()})
    else:
        store.delete(SUCCESS)
    return report


def _by_part(plan: Plan) -> dict[str, Unit]:
    return {unit.part: unit for unit in plan.units}


def _all_parts(store: Store) -> set[str]:
    """The parts of the newest plan that is written down, by this process or another."""
    run = read_run(store)
    return set(_by_part(run.plan)) if run else set()


def _stamps(store: Store, parts: dict[str, int]) -> dict[str, Stamp | None]:
    """The stamp of every part, None where it cannot be read back."""

    def read(part: str) -> Stamp | None:
        try:
            return store.read_stamp(part, parts[part])
        except PartDamaged:
            return None

    # 16: the reads of an object store are waits of some 20 ms each.
    with ThreadPoolExecutor(16) as threads:
        return dict(zip(parts, threads.map(read, parts), strict=True))
