"""The plan: which units a source consists of. Holds units, never rows, so that tens of thousands of them are little.

Knows nothing of parts, recipes or where plans are kept.
"""

# pyarrow has no types, so that nothing that comes from it has one.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false, reportUnknownLambdaType=false
from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, cast

import pyarrow as pa
from pydantic import AfterValidator, Field, StrictInt, StrictStr, TypeAdapter

from relabel.data.sources.cutting import Cut
from relabel.data.sources.parts import Parts
from relabel.data.sources.unit import FileState, SourceFile, Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedFile:
    """A file of the source and its units."""

    file: SourceFile
    units: Cut
    passed_over: Mapping[str, int] = field(default_factory=dict)
    """Members of it that no column holds, by suffix or kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All files of a source by path, with their units."""

    files: tuple[PlannedFile, ...]
    unreadable: tuple[tuple[str, str], ...] = ()
    """Path of each file that could not be scanned, and why. Every plan tries them again."""
    columns: pa.Schema
    """Columns of all readable files, in types that hold their values; they stay when files are added."""
    listed_over: Mapping[str, int] = field(default_factory=dict, compare=False)
    """Files beside those of the source that none of it are, by suffix or name. Seen anew by every plan."""
    notes: tuple[str, ...] = field(default=(), compare=False)
    """What is to be said of the files that this plan scanned: which have no rows, whose values may not fit."""
    dropped: tuple[str, ...] = field(default=(), compare=False)
    """Paths of files that were known, are gone from the source, and are no part of the plan any more."""

    @property
    def units(self) -> Iterator[Unit]:
        return (unit for planned in self.files for unit in planned.units)

    @property
    def gone(self) -> tuple[str, ...]:
        """Paths of the files that are gone from the source: what there is of their labels stays."""
        return tuple(planned.file.path for planned in self.files if planned.file.state == "gone")

    @property
    def num_units(self) -> int:
        return sum(len(planned.units) for planned in self.files)

    @property
    def num_rows(self) -> int:
        return sum(planned.units.num_rows for planned in self.files)

    @property
    def passed_over(self) -> dict[str, int]:
        """All that lies in the source and is not read: files, and members of files, by suffix or kind."""
        total = Counter(self.listed_over)
        for planned in self.files:
            total.update(planned.passed_over)
        return dict(total.most_common())

    def to_json(self) -> dict[str, object]:
        """The plan as plain, compact data."""
        files = [
            {
                "path": planned.file.path,
                "url": planned.file.url,
                "size": planned.file.size,
                "version": planned.file.version,
                **({"state": planned.file.state} if planned.file.state != "there" else {}),
                "units": list(planned.units.ranges),
                **({"stem": planned.file.own_stem} if planned.file.own_stem else {}),
                **({"passed_over": dict(planned.passed_over)} if planned.passed_over else {}),
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


def by_part(plan: Plan) -> Parts:
    """The units of a plan by the names of their parts."""
    return Parts(planned.units for planned in plan.files)


_Number = Annotated[StrictInt, Field(ge=0, lt=2**63)]
_NO_FILE = SourceFile(path="", url="", size=0, version="")
_Ranges = tuple[tuple[_Number, _Number, _Number], ...]


def _cut(ranges: _Ranges) -> Cut:
    return Cut(_NO_FILE, ranges)


_Units = Annotated[_Ranges, AfterValidator(_cut)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _CompactFile:
    """A planned file as it stands in JSON."""

    path: StrictStr
    url: StrictStr
    size: _Number
    version: StrictStr
    units: _Units
    """First row, number of rows and offset of each unit, in order; of what file is not known yet."""
    state: FileState = "there"
    stem: StrictStr = ""
    passed_over: dict[StrictStr, _Number] = field(default_factory=dict)

    def planned(self) -> PlannedFile:
        file = SourceFile(
            path=self.path,
            url=self.url,
            size=self.size,
            version=self.version,
            state=self.state,
            own_stem=self.stem,
        )
        return PlannedFile(file=file, units=cast(Cut, self.units).at(file), passed_over=self.passed_over)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Compact:
    """A plan as it stands in JSON: its columns as an Arrow schema in base64."""

    files: tuple[_CompactFile, ...]
    unreadable: tuple[tuple[StrictStr, StrictStr], ...]
    columns: StrictStr


_COMPACT = TypeAdapter(_Compact)
