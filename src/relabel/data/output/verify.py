"""Whether an output folder holds what it says: every row of every part, from the run's own documents alone.

Opens neither source nor model. `status` is the quick look at the same documents.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace

import pyarrow as pa

from relabel.data.labels.columns import labels_of
from relabel.data.output.manifest import Run, run_of
from relabel.data.sources.plan import Plan
from relabel.data.sources.unit import Unit
from relabel.data.store.stamp import make_stamp
from relabel.data.store.store import Store
from relabel.errors import PartDamaged
from relabel.spec import Label
from relabel.spec.section import column_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What was counted in rows that were read, and a sentence for everything that is wrong."""

    units: int
    rows: int
    ok: int
    rejected: int
    problems: tuple[str, ...]

    @property
    def complete(self) -> bool:
        return not self.problems

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def verify(store: Store) -> Verification:
    """Read everything and check it. Raises Refused where no run was begun, or where its documents are damaged."""
    run = run_of(store)
    units, labels = list(run.plan.units), labels_of(run.recipe)
    with ThreadPoolExecutor(4) as threads:
        checked = list(threads.map(lambda unit: _check_part(store, run, unit, labels), units))
    counts = Counter[str]()
    for statuses, _ in checked:
        counts.update(statuses)
    problems = [*_check_plan(run.plan), *(problem for _, found in checked for problem in found)]
    parts = store.parts()
    foreign = sorted(parts.keys() - {unit.part for unit in units})
    problems += [f"{name} is no part of this run: move it out of the output" for name in foreign]
    problems += [f"the source file {path} is unreadable: {why}" for path, why in run.plan.unreadable]
    return Verification(
        units=sum(unit.file.state != "gone" or unit.part in parts for unit in units),
        rows=counts.total(),
        ok=counts["ok"],
        rejected=counts["rejected"],
        problems=tuple(problems),
    )


def _check_plan(plan: Plan) -> Iterator[str]:
    """The units of a file must tile it, and no two units may share a part."""
    shared = [part for part, count in Counter(unit.part for unit in plan.units).items() if count > 1]
    yield from (f"{part} is the part of two units" for part in shared)
    for planned in plan.files:
        next_row = 0
        for index, unit in enumerate(planned.units):
            if (unit.index, unit.first_row) != (index, next_row):
                yield f"the plan of {planned.file.path} has a gap or an overlap at row {next_row}"
                break
            next_row += unit.num_rows


def _check_part(store: Store, run: Run, unit: Unit, labels: Mapping[str, Label]) -> tuple[Counter[str], list[str]]:
    """The rows of each status, and what is wrong with the part."""
    try:
        part = store.read(unit.part)
    except PartDamaged as error:
        if unit.file.state == "gone" and unit.part not in store.parts():
            return Counter(), []
        # The count of a run reads footers alone, so that it would leave a part with a damaged page.
        return Counter(), [f"{error}; delete it if it is there, and run the same command again"]
    stamp, rows = part.stamp, part.rows
    if not rows.schema.equals(run.schema):
        return Counter(), [f"{unit.part} has another schema than the run: {_first_difference(rows.schema, run.schema)}"]
    problems = (
        [] if stamp.is_of(unit, run.fingerprint) else [f"{unit.part} was made by another recipe or source version"]
    )
    # The quality cannot be counted again: the old labels need not be among the columns that were kept.
    if (
        replace(stamp.at(unit.file), quality={}, digest="") != make_stamp(unit, stamp.fingerprint, rows)
        and not problems
    ):
        problems.append(f"{unit.part} has other counts than its stamp")
    problems += [f"{unit.part}: {problem}" for problem in _check_rows(rows, unit, labels)]
    return Counter(rows.column("status").to_pylist()), problems


def _check_rows(rows: pa.Table, unit: Unit, labels: Mapping[str, Label]) -> Iterator[str]:
    columns = ("source_file", "source_row", "status", "reason")
    files, numbers, statuses, reasons = (rows.column(name).to_pylist() for name in columns)
    if len(numbers) != unit.num_rows or numbers != list(range(unit.first_row, unit.first_row + unit.num_rows)):
        yield f"source_row does not go from {unit.first_row} to {unit.first_row + unit.num_rows - 1} one by one"
    if set(files) != {unit.file.path}:
        yield f"source_file is not {unit.file.path} in every row"
    if not set(statuses) <= {"ok", "rejected"}:
        yield "a status is neither ok nor rejected"
    if any(status == "rejected" and not reason for status, reason in zip(statuses, reasons, strict=True)):
        yield "a rejected row has no reason"
    if "" not in labels:
        each = [rows.column(column_of(name, "status")).to_pylist() for name in labels]
        if any((status == "ok") != (set(row) == {"ok"}) for status, *row in zip(statuses, *each, strict=True)):
            yield "a row is ok and a label of it is not, or the other way round"
    for name, label in labels.items():
        yield from _check_label(rows, name, label)


def _check_label(rows: pa.Table, name: str, label: Label) -> Iterator[str]:
    """What is there where the status says so. Properties of JSON and groups of a pattern may be null beside a label."""
    is_ok = [status == "ok" for status in rows.column(column_of(name, "status")).to_pylist()]
    written = [column_of(name, key) for key in label.columns]
    never_null = [] if label.parse in ("json", "regex") else written
    for column in (*never_null, column_of(name, "text")):
        if any(ok and null for ok, null in zip(is_ok, rows.column(column).is_null().to_pylist(), strict=True)):
            yield f"a row that is ok has no {column}"
    for column in written:
        if any(not ok and not null for ok, null in zip(is_ok, rows.column(column).is_null().to_pylist(), strict=True)):
            yield f"a rejected row has a {column}"


def _first_difference(one: pa.Schema, other: pa.Schema) -> str:
    if one.names != other.names:
        return f"the columns {', '.join(one.names)} in place of {', '.join(other.names)}"
    return next(f"{a} in place of {b}" for a, b in zip(one, other, strict=True) if not a.equals(b))
