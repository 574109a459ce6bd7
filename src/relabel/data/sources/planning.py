"""How a source is planned: listed, scanned where it is new, and its columns unified over all files.

Knows nothing of parts, recipes or where plans are kept.
"""

# pyarrow has no types, so that nothing that comes from it has one.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false, reportUnknownLambdaType=false
from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Literal

import pyarrow as pa

from relabel.data.sources import format_of, list_files, scan
from relabel.data.sources.cutting import cut_as_before
from relabel.data.sources.formats.format import Format, Scanned
from relabel.data.sources.plan import Plan, PlannedFile
from relabel.data.sources.types import Columns, misfits
from relabel.data.sources.unit import SourceFile
from relabel.errors import SourceChanged, SourceRefused, SourceUnreadable
from relabel.spec import Source

NUM_SCANS = 128
"""Files scanned side by side where they are in an object store, whose answers take some 20 to 50 ms each."""
_NUM_LOCAL_SCANS = 16

OnPlanned = Callable[[int, int], None]
"""Told after each file how many of how many are planned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """What became of one file: known as it is or was, scanned, or not readable."""

    file: SourceFile
    known: PlannedFile | None = None
    scanned: Scanned | None = None
    why: str = ""

    @property
    def planned(self) -> PlannedFile | None:
        if self.scanned is None:
            return self.known
        return PlannedFile(file=self.file, units=self.scanned.units, passed_over=dict(self.scanned.passed_over))


def make_plan(
    source: Source,
    unit_rows: int,
    known: Plan | None = None,
    redo_changed: bool = False,
    kept: Collection[str] | None = (),
    needed: Collection[str] | None = None,
    on_planned: OnPlanned | None = None,
) -> Plan:
    """List the source and scan what `known` does not hold as it is.

    A file that changed since `known` is planned anew where `redo_changed`. Else it is `touched` where it has as many
    rows as it had, and refused with SourceChanged where it has others. Of one that vanished `source.removed` says what
    becomes of its labels. A file that cannot be read is noted and costs only itself: what is known of it stays, so
    that an upload that is under way costs no labels. A column of `kept` whose types in
    two files have none in common is refused with SourceRefused. Of columns that are not in `needed` the plan may know
    less than there is. Of both, None is all.
    """
    old = {planned.file.path: planned for planned in known.files} if known else {}
    is_remote = any("://" in path for path in source.paths)
    if is_remote and pa.io_thread_count() < NUM_SCANS:
        pa.set_io_thread_count(NUM_SCANS)  # pyarrow's client of S3 has that many connections, and 25 at the least
    listing = list_files(source, {path: planned.file for path, planned in old.items()})
    vanished = [old[path] for path in sorted(old.keys() - {file.path for file in listing.files})]
    gone = _gone(vanished, source.removed)

    def plan_file(file: SourceFile) -> _Outcome:
        before = old.get(file.path)
        if before is not None and not redo_changed and (_differs(file, before.file) or before.file.state != "there"):
            file = replace(file, state="touched")
        if before is not None and not _differs(file, before.file):
            return _Outcome(file=file, known=_at(file, before))
        try:
            scanned = scan(file, source, unit_rows, needed)
        except SourceUnreadable as error:
            return _Outcome(file=file, known=before, why=str(error))
        units = cut_as_before(scanned.units, before.units, unit_rows) if before else scanned.units
        return _Outcome(file=file, scanned=replace(scanned, units=units))

    new = [file for file in listing.files if file.path not in old or _differs(file, old[file.path].file)]
    scanned = dict[str, _Outcome]()
    with ThreadPoolExecutor(NUM_SCANS if is_remote else _NUM_LOCAL_SCANS) as pool:
        for file, outcome in zip(new, pool.map(plan_file, new), strict=True):
            scanned[file.path] = outcome
            if on_planned is not None:
                on_planned(len(scanned), len(new))
    outcomes = [scanned.get(file.path) or plan_file(file) for file in listing.files]
    if changed := [one.file.path for one in outcomes if one.file.state == "touched" and not _is_as_long(one, old)]:
        raise changed_files(changed)
    columns, notes = _columns(outcomes, known if known and known.files else None, format_of(source), kept)
    unreadable = [(outcome.file.path, outcome.why) for outcome in outcomes if outcome.why]
    return Plan(
        files=tuple(sorted((*gone, *filter(None, (one.planned for one in outcomes))), key=lambda one: one.file.path)),
        unreadable=(*unreadable, *listing.unreadable),
        columns=columns,
        listed_over=listing.passed_over,
        notes=(*notes, *_notes(outcomes)),
        dropped=() if gone else tuple(one.file.path for one in vanished),
    )


def _columns(
    outcomes: Sequence[_Outcome], known: Plan | None, form: Format, kept: Collection[str] | None
) -> tuple[pa.Schema, list[str]]:
    """The columns of the plan, and what is to be said of them.

    Those of a known plan stay, as parts have them: a new file's values are cast, and null where they do not fit.
    """
    scanned = [(outcome.file.path, outcome.scanned) for outcome in outcomes if outcome.scanned is not None]
    columns = Columns(union=form.union)
    for path, one in scanned:
        columns.add(one.columns, path)
    notes: list[str] = []
    if kept is None and known is not None:
        new = [name for name in columns.schema.names if name not in known.columns.names]
        notes += [f"column {name} is not kept: the output has the columns of its first run" for name in new]
    kept = (known.columns if known else columns.schema).names if kept is None else kept
    clashes = dict(columns.clashes(kept))
    if known is None:
        _refuse_clashes(clashes)
        return columns.schema, [*_missing(scanned, kept, columns.schema), *_rounded(scanned, kept, columns.schema)]
    for path, one in scanned:
        for name, kind in misfits(known.columns, one.columns, form.union, kept).items():
            mine = known.columns.field(name).type
            if form.union(mine, one.columns.field(name).type) is None:
                clashes.setdefault(name, f"is {kind} in {path} and {mine} in the output: no type holds both")
            notes.append(f"{path}: column {name} is {kind}, and {mine} in the output: values that do not fit are null")
    _refuse_clashes(clashes)
    return known.columns, [*notes, *_missing(scanned, kept, columns.schema)]


def _refuse_clashes(clashes: Mapping[str, str]) -> None:
    for name, why in clashes.items():
        raise SourceRefused(f"output.keep: column {name!r} {why}, or name others in output.keep")


def _missing(scanned: Sequence[tuple[str, Scanned]], kept: Collection[str], columns: pa.Schema) -> Iterator[str]:
    """A sentence for each kept column that only some files have."""
    for name in kept:
        without = [path for path, one in scanned if one.units and name not in one.columns.names]
        if without and name in columns.names:
            yield f"column {name} is null in {len(without)} files that do not have it, the first: {without[0]}"


def _rounded(scanned: Sequence[tuple[str, Scanned]], kept: Collection[str], columns: pa.Schema) -> Iterator[str]:
    """A sentence for each kept column of doubles that some file has as wide integers; pandas makes such of a gap."""
    for name in kept:
        if columns.names.count(name) == 1 and pa.types.is_floating(columns.field(name).type):
            wide = [
                path for path, one in scanned if name in one.columns.names and _is_wide(one.columns.field(name).type)
            ]
            if wide:
                yield f"column {name} is double, and int64 in {wide[0]}: integers that no double holds are null"


def _is_wide(kind: pa.DataType) -> bool:
    return kind in (pa.int64(), pa.uint64())


def _notes(outcomes: Sequence[_Outcome]) -> Iterator[str]:
    for outcome in outcomes:
        if outcome.scanned is not None and not outcome.scanned.units:
            yield f"{outcome.file.path} has no rows{f': {outcome.scanned.note}' if outcome.scanned.note else ''}"
        elif outcome.scanned is not None and outcome.scanned.note:
            yield f"{outcome.file.path}: {outcome.scanned.note}"


def changed_files(paths: Collection[str]) -> SourceChanged:
    """What is said where files have other rows than their labels were made from."""
    return SourceChanged(
        f"changed in the source since its labels were made: {_names(paths)}; "
        f"run with --redo-changed to label anew what is not the same, or use a new output folder"
    )


def _gone(vanished: Sequence[PlannedFile], removed: Literal["keep", "drop", "refuse"]) -> list[PlannedFile]:
    """The files that vanished and whose labels stay."""
    new = [one.file.path for one in vanished if one.file.state != "gone"]
    if removed == "refuse" and new:
        raise SourceChanged(
            f"gone from the source since its labels were made: {_names(new)}; put it back, "
            f"set source.removed to keep or drop its labels, or use a new output folder"
        )
    return [] if removed == "drop" else [_at(replace(one.file, state="gone"), one) for one in vanished]


def _is_as_long(outcome: _Outcome, old: Mapping[str, PlannedFile]) -> bool:
    """Whether a file is cut into units as it was: only what a unit reads tells then whether it is the same."""
    now = outcome.planned
    return now is not None and now.units.has_rows_of(old[outcome.file.path].units)


def _differs(file: SourceFile, other: SourceFile) -> bool:
    return (file.size, file.version) != (other.size, other.version)


def _at(file: SourceFile, known: PlannedFile) -> PlannedFile:
    """What is known of a file, under the url and in the state it has now."""
    if file == known.file:
        return known
    return replace(known, file=file, units=known.units.at(file))


def _names(paths: Collection[str]) -> str:
    """Up to five paths, and how many more."""
    first = ", ".join(sorted(paths)[:5])
    return first if len(paths) <= 5 else f"{first} and {len(paths) - 5} more"
