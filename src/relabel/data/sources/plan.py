"""The plan: which units a source consists of. Holds units, never rows, so that tens of thousands of them are little.

Knows nothing of parts, recipes or where plans are kept.
"""

# pyarrow has no types, so that nothing that comes from it has one.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false, reportUnknownLambdaType=false
from __future__ import annotations

import base64
import dataclasses
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Annotated

import pyarrow as pa
from pydantic import Field, StrictInt, StrictStr, TypeAdapter

from relabel.data.sources import columns_of, list_files, scan
from relabel.data.sources.unit import SourceFile, Unit
from relabel.errors import SourceChanged, SourceUnreadable
from relabel.spec import Source

NUM_SCANS = 16
"""Files scanned side by side: a scan mostly waits for its storage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedFile:
    file: SourceFile
    units: tuple[Unit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All files of a source by path, with their units."""

    files: tuple[PlannedFile, ...]
    unreadable: tuple[tuple[str, str], ...] = ()
    """Path of each file that could not be scanned, and why. Every plan tries them again."""
    columns: pa.Schema
    """Columns and types of the first readable file; they stay when files are added."""

    @property
    def units(self) -> Iterator[Unit]:
        return (unit for planned in self.files for unit in planned.units)

    @property
    def num_units(self) -> int:
        return sum(len(planned.units) for planned in self.files)

    @property
    def num_rows(self) -> int:
        return sum(unit.num_rows for unit in self.units)

    def to_json(self) -> dict[str, object]:
        """The plan as plain, compact data."""
        files = [
            {
                "path": planned.file.path,
                "url": planned.file.url,
                "size": planned.file.size,
                "version": planned.file.version,
                "units": [[unit.first_row, unit.num_rows, unit.offset] for unit in planned.units],
            }
            for planned in self.files
        ]
        columns = base64.b64encode(self.columns.serialize()).decode()
        return {"files": files, "unreadable": [list(entry) for entry in self.unreadable], "columns": columns}

    @classmethod
    def from_json(cls, value: object) -> Plan:
        """The plan that `to_json` gave. Raises ValueError for anything else."""
        found = _COMPACT.validate_python(value)
        return cls(
            files=tuple(file.planned() for file in found.files),
            unreadable=found.unreadable,
            columns=pa.ipc.read_schema(pa.py_buffer(base64.b64decode(found.columns))),
        )


_Number = Annotated[StrictInt, Field(ge=0, lt=2**63)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _CompactFile:
    """A planned file as it stands in JSON."""

    path: StrictStr
    url: StrictStr
    size: _Number
    version: StrictStr
    units: tuple[tuple[_Number, _Number, _Number], ...]
    """First row, number of rows and offset of each unit, in order."""

    def planned(self) -> PlannedFile:
        file = SourceFile(path=self.path, url=self.url, size=self.size, version=self.version)
        units = (
            Unit(file=file, index=index, first_row=first_row, num_rows=num_rows, offset=offset)
            for index, (first_row, num_rows, offset) in enumerate(self.units)
        )
        return PlannedFile(file=file, units=tuple(units))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Compact:
    """A plan as it stands in JSON: its columns as an Arrow schema in base64."""

    files: tuple[_CompactFile, ...]
    unreadable: tuple[tuple[StrictStr, StrictStr], ...]
    columns: StrictStr


_COMPACT = TypeAdapter(_Compact)


def make_plan(source: Source, unit_rows: int, known: Plan | None = None, redo_changed: bool = False) -> Plan:
    """List the source and scan what `known` does not hold as it is.

    A file that changed since `known` is refused with SourceChanged, or scanned anew where `redo_changed`; one that
    vanished is always refused. A file that cannot be read is noted and costs only itself.
    """
    listed = list_files(source)
    old = {planned.file.path: planned for planned in known.files} if known else {}
    changed = [file for file in listed if file.path in old and _differs(file, old[file.path].file)]
    vanished = old.keys() - {file.path for file in listed}
    if vanished:
        raise SourceChanged(
            f"gone from the source since its labels were made: {_names(vanished)}; "
            f"put it back, or use a new output folder"
        )
    if changed and not redo_changed:
        raise SourceChanged(
            f"changed in the source since its labels were made: {_names([file.path for file in changed])}; "
            f"run with --redo-changed to label it anew, or use a new output folder"
        )
    redone = {file.path for file in changed}

    def plan_file(file: SourceFile) -> PlannedFile | tuple[str, str]:
        if file.path in old and file.path not in redone:
            return _at(file, old[file.path])
        try:
            return PlannedFile(file=file, units=tuple(scan(file, source, unit_rows)))
        except SourceUnreadable as error:
            return file.path, str(error)

    with ThreadPoolExecutor(NUM_SCANS) as pool:
        outcomes = list(pool.map(plan_file, listed))
    files = tuple(outcome for outcome in outcomes if isinstance(outcome, PlannedFile))
    return Plan(
        files=files,
        unreadable=tuple(outcome for outcome in outcomes if isinstance(outcome, tuple)),
        columns=known.columns if known and known.files else _first_columns(files, source),
    )


def _differs(file: SourceFile, other: SourceFile) -> bool:
    return (file.size, file.version) != (other.size, other.version)


def _at(file: SourceFile, known: PlannedFile) -> PlannedFile:
    """What is known of a file, under the url it has now."""
    if file == known.file:
        return known
    return PlannedFile(file=file, units=tuple(dataclasses.replace(unit, file=file) for unit in known.units))


def _first_columns(files: Sequence[PlannedFile], source: Source) -> pa.Schema:
    """Of the first file that can be read, and has rows where any file has."""
    for planned in sorted(files, key=lambda planned: not planned.units):
        try:
            return columns_of(planned.file, source)
        except SourceUnreadable:  # it was sound when it was scanned: reading its units will name it
            continue
    return pa.schema([])


def _names(paths: Collection[str]) -> str:
    """Up to five paths, and how many more."""
    first = ", ".join(sorted(paths)[:5])
    return first if len(paths) <= 5 else f"{first} and {len(paths) - 5} more"
