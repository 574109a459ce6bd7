"""Plan against store: which units are published, which parts do not count, whether everything is there and any good.

Knows names and stamps, not rows: reading every row is the business of verify.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from relabel.data.output.binding import output_lost
from relabel.data.output.census import Census, Counted
from relabel.data.output.manifest import SUCCESS, Run, read_run
from relabel.data.output.report import Report
from relabel.data.quality import gate
from relabel.data.sources.parts import Parts, Selection
from relabel.data.sources.plan import Plan, PlannedFile, by_part
from relabel.data.sources.unit import Unit
from relabel.data.store.objects import Version
from relabel.data.store.stamp import Stamp
from relabel.data.store.store import Store
from relabel.errors import PartDamaged
from relabel.spec import Gate

_NUM_READERS = 64
"""Looks at single parts are waits of some 20 ms each, where the output is in an object store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeState:
    """What a run found in its output."""

    done: Sequence[Unit]
    """Units that need not be done again."""
    todo: Selection = field(default_factory=lambda: Selection(Parts([]), ()), compare=False)
    """All others whose rows are in the source."""
    bad: Mapping[str, Version]
    """Damaged and stale parts of the plan, which are to be published over: they may be another run's good ones before
    this one comes to it."""
    digests: Mapping[str, str] = field(default_factory=dict)
    """Of those of `bad` that are of this recipe and place and of another version of their file: see Stamp.digest."""
    deleted: tuple[str, ...]
    """Parts of this recipe that no plan names any more, or that an earlier one named and that cannot be read; and of a
    recipe that lost the output to this one before it had a part."""


def resume(plan: Plan, store: Store, fingerprint: str) -> ResumeState:
    """At the start of a run: what is done, what does not count. Where work remains, an old `_SUCCESS` is deleted."""
    units = by_part(plan)
    census = Census(store, units, fingerprint)
    # Read after the listing: a part that another process publishes is in the documents before it is in the listing.
    run = read_run(store)
    known = by_part(run.plan) if run else Parts([])
    former_parts = run.former_parts if run else frozenset()
    recipes = {fingerprint} | (run.former_fingerprints if run else frozenset())

    def is_left(part: str, stamp: Stamp | None) -> bool:
        if part in units or part in known:  # of a file that is gone nobody makes a part in the place of another cut
            places = (units.get(part), known.get(part))
            return stamp is not None and all(unit and _is_beyond(stamp, unit, fingerprint) for unit in places)
        return stamp.fingerprint in recipes if stamp else part in former_parts

    sound, left, unsound = bytearray(len(units)), list[str](), dict[str, Counted]()
    for counted in census.stamps():
        part = counted.part
        if counted.is_sound and (place := units.place_of(part)) is not None:
            sound[place] = True
            continue
        if is_left(part, counted.stamp):
            left.append(part)
        if (unit := units.get(part)) is not None and _is_there(unit):
            unsound[part] = counted
    left.sort()
    todo = Selection(units, (place for place in units.places(are_there=True) if not sound[place]))
    if todo or left:
        store.delete(SUCCESS)
    for part in left:
        store.delete(part)
    with ThreadPoolExecutor(_NUM_READERS) as threads:
        looks = threads.map(lambda part: _look(store, units[part], fingerprint, census, unsound[part]), sorted(unsound))
        bad = {part: look for part, look in zip(sorted(unsound), looks, strict=True) if look}
    census.save()
    return ResumeState(
        done=Selection(units, (place for place, is_sound in enumerate(sound) if is_sound)),
        todo=todo,
        bad={part: version for part, (version, _) in bad.items()},
        digests={part: stamp.digest for part, (_, stamp) in bad.items() if stamp},
        deleted=tuple(left),
    )


def take_note(plan: Plan, store: Store, fingerprint: str, is_over: Callable[[], bool]) -> None:
    """In the middle of a run: what the parts say of themselves goes into the ledger, unless it is over before."""
    census = Census(store, by_part(plan), fingerprint)
    for _ in census.stamps():
        if is_over():
            return
    census.save()


def audit(plan: Plan, store: Store, fingerprint: str, gates: Mapping[str, Gate] = {}) -> Report:
    """Count what is published against the plan, and hold it against the gate of each label by name."""
    units = by_part(plan)
    return _count(plan, units, Census(store, units, fingerprint), store, gates)


def _count(plan: Plan, units: Parts, census: Census, store: Store, gates: Mapping[str, Gate]) -> Report:
    damaged, stale = list[str](), list[str]()
    gone = set(plan.gone)
    published = rows = ok = rejected = gone_rows = 0
    reasons: Counter[str] = Counter()
    for counted in census.stamps():
        stamp = counted.stamp
        if counted.part not in units:
            continue
        if stamp is None:
            damaged.append(counted.part)
        elif not counted.is_sound:
            stale.append(counted.part)
        else:
            published, rows, ok = published + 1, rows + stamp.num_rows, ok + stamp.ok
            rejected += stamp.rejected
            gone_rows += stamp.num_rows if stamp.source_file in gone else 0
            reasons.update(stamp.reasons)
    parts, quality = census.parts, census.quality()
    known = _parts_of(read_run(store))
    is_there = bytearray(len(units))
    for place in map(units.place_of, parts):
        if place is not None:
            is_there[place] = True
    lost = Selection(units, (place for place in units.places(are_there=False) if not is_there[place]))
    missing = Selection(units, (place for place in units.places(are_there=True) if not is_there[place]))
    return Report(
        units=len(units) - len(lost),
        published=published,
        planned_rows=units.num_rows - lost.num_rows,
        rows=rows,
        ok=ok,
        rejected=rejected,
        reasons=dict(sorted(reasons.items())),
        missing=tuple(unit.part for unit in missing),
        damaged=tuple(sorted(damaged)),
        stale=tuple(sorted(stale)),
        foreign=tuple(part for part in parts if part not in units and part not in known),
        unreadable=plan.unreadable,
        gone_files=len(gone),
        gone_rows=gone_rows,
        lost_rows=lost.num_rows,
        quality=quality,
        exceeded=tuple(gate.exceeded(gates, quality, rows=rows, rejected=rejected)),
    )


def conclude(
    plan: Plan,
    store: Store,
    fingerprint: str,
    gates: Mapping[str, Gate] = {},
    before_success: Callable[[Store], None] | None = None,
) -> Report:
    """At the end of a run: the audit, and `_SUCCESS` if all is there and passes the gates.

    A run whose plan is no longer the newest says nothing: who planned more counts more. Raises RecipeChanged where a
    run of another recipe has begun in the output before this one had published its first part. What is to be done with
    an output that passes is done by `before_success`, and where that fails `_SUCCESS` is not written.
    """
    before = store.version(SUCCESS)
    units = by_part(plan)
    census = Census(store, units, fingerprint)
    report = _count(plan, units, census, store, gates)
    census.save()
    run = read_run(store)
    if run is not None and run.fingerprint != fingerprint:
        # what only this run's plan has: no run of the other recipe would ever take it for its own
        theirs = _parts_of(run)
        for part in store.parts():
            if part not in theirs and _is_made_by(store, part, fingerprint):
                store.delete(part)
        raise output_lost(store)
    if run is not None and not _says_as_much(run.plan, plan):
        return report
    if report.passed:
        if before_success is not None:
            before_success(store)
        store.put_json(SUCCESS, {"fingerprint": fingerprint, **report.to_json()})
    elif store.version(SUCCESS) == before:  # not where another run found meanwhile that all is there
        store.delete(SUCCESS)
    return report


def _look(
    store: Store, unit: Unit, fingerprint: str, census: Census, counted: Counted
) -> tuple[Version, Stamp | None] | None:
    """Which version of its part does not count, and its stamp where that is of the unit in another version of its file.

    None where it is gone, or is another meanwhile and does count.
    """
    version = store.version(unit.part)  # before the look: what is bad now was so if it is still this one
    if version is None:
        return None
    stamp = counted.stamp
    if stamp is None or not counted.is_as_listed or version.get("e_tag") != census.parts[unit.part].e_tag:
        try:
            stamp = store.read_stamp(unit.part)
        except PartDamaged:
            return version, None
    if stamp.is_of(unit, fingerprint):
        return None
    return version, stamp if stamp.is_of_place(unit, fingerprint) else None


def _is_made_by(store: Store, part: str, fingerprint: str) -> bool:
    try:
        return store.read_stamp(part).fingerprint == fingerprint
    except PartDamaged:
        return False


def _is_there(unit: Unit) -> bool:
    """Whether the rows of a unit are in the source, so that its part can be made."""
    return unit.file.state != "gone"


def _is_beyond(stamp: Stamp, unit: Unit, fingerprint: str) -> bool:
    """Whether a part of this recipe is of another cut of a file that is gone."""
    return not _is_there(unit) and stamp.fingerprint == fingerprint and not stamp.is_of(unit, fingerprint)


def _says_as_much(one: Plan, other: Plan) -> bool:
    """Whether two plans are the same: the same parts of the same versions of files, the same files unreadable."""
    ones, others = ({file.file.stem: file for file in plan.files if file.units} for plan in (one, other))
    return (
        dict(one.unreadable).keys() == dict(other.unreadable).keys()
        and ones.keys() == others.keys()
        and all(_is_made_alike(file, others[stem]) for stem, file in ones.items())
    )


def _is_made_alike(one: PlannedFile, other: PlannedFile) -> bool:
    figures = [(file.size, file.version, file.state == "gone") for file in (one.file, other.file)]
    return one is other or (figures[0] == figures[1] and one.units.has_rows_of(other.units))


def _parts_of(run: Run | None) -> Parts:
    """The parts of the newest plan that is written down, by this process or another."""
    return by_part(run.plan) if run else Parts([])
