"""Of which format data is, told by its files' names and, for JSON lines, by its columns. Knows nothing of values."""

# pyarrow has no types, so that nothing that comes from it has one.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from relabel.data.sources import format_of, list_files, scan
from relabel.data.sources.files import absolute
from relabel.data.sources.finding import find
from relabel.data.sources.formats.format import Scanned
from relabel.data.sources.listing import say
from relabel.data.sources.unit import SourceFile
from relabel.errors import SourceRefused, SourceUnreadable
from relabel.spec import Source

ByName = Literal["parquet", "webdataset", "jsonl", "csv", "images"]
_BY_NAME: tuple[ByName, ...] = ("parquet", "webdataset", "jsonl", "csv", "images")
"""The formats that names of files tell apart. Batch files of OpenAI's API are JSON lines by name."""

_REQUEST = frozenset(("custom_id", "method", "url", "body"))
_NUM_TRIED = 5
_UNIT_ROWS = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """What paths name: a source, and one file of it to look into."""

    source: Source
    num_files: int
    """Of images: folders that hold some."""
    passed_over: Counter[str]
    """Files that the source does not read, by format or suffix."""
    file: SourceFile
    """The smallest that has rows: it is read fastest."""
    scanned: Scanned


def find_data(paths: Sequence[str]) -> Data:
    """The format of which the paths name the most bytes. Raises SourceRefused where they name nothing that is read."""
    num_bytes, num_files, passed_over = Counter[ByName](), Counter[ByName](), Counter[str]()
    for path in paths:
        found = find(absolute(path), [suffix for name in _BY_NAME for suffix in _suffixes(name)])
        passed_over.update(found.passed_over)
        for entry in found.entries:
            name = _by_name(entry.url)
            if name is None:
                passed_over[entry.url.rpartition("/")[2]] += 1
                continue
            num_bytes[name] += entry.size
            num_files[name] += 1
    if not num_files:
        lies = f" (there is: {say(passed_over)})" if passed_over else ""
        raise SourceRefused(
            f"{', '.join(paths)}: no file of a format that is read{lies}; name Parquet, JSON lines, CSV, tar or image "
            f"files, or a folder of them"
        )
    best = max(num_bytes, key=lambda name: (num_bytes[name], num_files[name]))
    passed_over.update({f"files of {name}": number for name, number in num_files.items() if name != best})
    source = Source(path=paths[0] if len(paths) == 1 else list(paths), format=best)
    files = list_files(source).files
    file, scanned = _with_rows(files, source)
    if best == "jsonl" and _REQUEST.issubset(scanned.columns.names):
        source = Source(path=source.path, format="openai")
    return Data(source=source, num_files=len(files), passed_over=passed_over, file=file, scanned=scanned)


def _suffixes(name: ByName) -> tuple[str, ...]:
    return format_of(Source(path="-", format=name)).SUFFIXES


def _by_name(url: str) -> ByName | None:
    for name in _BY_NAME:
        if url.lower().endswith(_suffixes(name)):
            return name
    return None


def _with_rows(files: Sequence[SourceFile], source: Source) -> tuple[SourceFile, Scanned]:
    """The smallest file that has rows, of the few that are tried."""
    why = ""
    for file in sorted(files, key=lambda file: file.size)[:_NUM_TRIED]:
        try:
            scanned = scan(file, source, _UNIT_ROWS)
        except SourceUnreadable as error:
            why = why or str(error)
            continue
        if scanned.units.num_rows and scanned.columns.names:
            return file, scanned
        why = why or f"{file.url} has no rows{f': {scanned.note}' if scanned.note else ''}"
    raise SourceRefused(f"{why}; name a file that holds some")
