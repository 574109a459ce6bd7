"""The unit of work: a range of rows of one source file, and what is read of it.

A unit is the only thing that is scheduled, retried, published and resumed. Knows the suffixes of files, not their
contents, and nothing of stores.
"""

# pyarrow has no types, so that nothing that comes from it has one.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false, reportUnknownLambdaType=false
from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from relabel.rejected import Rejected

FileState = Literal["there", "touched", "gone"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """One file of the source, and the figures that tell whether it changed."""

    path: str
    """Relative to the root of the source, with `/`."""
    url: str
    """What is opened."""
    size: int
    """Bytes. For a folder of images: of all its images together."""
    version: str
    """Modification time, or for a folder of images a digest of its listing; empty where the store tells no time."""
    state: FileState = "there"
    """`touched`: another version than some of its labels were made from, and nobody said that it may be labelled anew;
    `gone`: no longer in the source."""

    own_stem: str = ""
    """The stem of a file whose plain one was another's when it was planned."""

    @property
    def stem(self) -> str:
        """The beginning of its parts' names: the path without its suffixes of format and compression, if it is free."""
        return self.own_stem or _stem_of(self.path)


@functools.lru_cache(maxsize=64)  # its units follow each other
def _stem_of(path: str) -> str:
    folder, _, name = path.rpartition("/")
    for suffix in (".gz", ".zst", ".parquet", ".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".tar"):
        name = name.removesuffix(suffix) or name
    return f"{folder}/{name}" if folder else name


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """Rows `first_row` to `first_row + num_rows - 1` of one file."""

    file: SourceFile
    index: int
    first_row: int
    num_rows: int
    offset: int = 0
    """Byte at which the first row begins, where the format can seek to it; else 0."""

    @property
    def part(self) -> str:
        """The name of the one part file that this unit becomes."""
        return part_of(self.file.stem, self.index)


def part_of(stem: str, index: int) -> str:
    """The name of the part of a file's unit."""
    return f"{stem}-{index:05d}.parquet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """What was read of one unit; index k everywhere is row k of the unit."""

    columns: dict[str, list[object]]
    """Python values of the columns asked for. The value of a row that has a reason is None."""
    reasons: list[Rejected | None]
    """Why row k cannot be used (`source: ...`), or None."""
    kept: pa.Table
    """The kept columns in the run's fixed types; null where a value is none of its type."""
    remarks: list[str | None]
    """What became of row k's kept values that are none of their type, or None."""
