"""The contract of every format: which files are its own, how they are cut into units, and the rows of one unit.

A module that has these names is a format. Knows no single one.
"""

# pyarrow has no types, so that nothing that comes from it has one.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false, reportUnknownLambdaType=false
from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa

from relabel.data.sources.cutting import Cut
from relabel.data.sources.files import Entry, relative
from relabel.data.sources.unit import Rows, SourceFile, Unit
from relabel.spec import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanned:
    """What planning learns of one file."""

    units: Cut
    """None where the file has no rows."""
    columns: pa.Schema
    """All columns, with the types that they have in this file."""
    passed_over: Mapping[str, int] = field(default_factory=dict)
    """Members that no column holds, by suffix or kind."""
    note: str = ""
    """Why a file that is not empty has no rows, or what is wrong with those that it has."""


class Format(Protocol):
    """A source format."""

    @property
    def SUFFIXES(self) -> tuple[str, ...]:
        """Of its files: those below a folder are its own where they have one."""
        ...

    def takes(self, url: str, *, is_named: bool) -> bool:
        """Whether a file that a path matches is data. `is_named`: the path is the file's own."""
        ...

    def group(self, entries: Collection[Entry], root: str) -> list[SourceFile]:
        """The source files that these files on the storage are."""
        ...

    def union(self, one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
        """The type of a column that has both in two files, None where there is none."""
        ...

    def scan(self, file: SourceFile, source: Source, unit_rows: int, needed: Collection[str] | None = None) -> Scanned:
        """Cut one file into units. Raises SourceUnreadable where it is broken.

        Only of the columns in `needed` all is wanted, None for every one: where their types show in the rows alone, no
        more of these is looked into than it takes.
        """
        ...

    def read(self, unit: Unit, source: Source, columns: Sequence[str], kept: pa.Schema) -> Rows:
        """The rows of one unit. Raises SourceUnreadable where the file is broken or changed."""
        ...


def one_each(entries: Collection[Entry], root: str) -> list[SourceFile]:
    """The `group` of formats of which every file is one source file."""
    return [
        SourceFile(
            path=relative(entry.url, root) or entry.url.rpartition("/")[2],
            url=entry.url,
            size=entry.size,
            version=entry.version,
        )
        for entry in entries
    ]


def takes_all(url: str, *, is_named: bool) -> bool:
    """The `takes` of formats whose files cannot be told from others by name."""
    return True
