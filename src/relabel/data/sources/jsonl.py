"""JSON lines, plain or compressed: one object a line. Blank lines are no rows; else it is a bad row."""

# pyarrow has no types, so that nothing that comes from it has one.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false, reportUnknownLambdaType=false
from __future__ import annotations

import io
import itertools
import json
from collections.abc import Iterator, Sequence

import pyarrow as pa

from relabel.data.sources import files, streams
from relabel.data.sources.cutting import cut_rows
from relabel.data.sources.unit import Rows, SourceFile, Unit
from relabel.data.sources.values import Record, infer_schema, make_rows
from relabel.errors import SourceUnreadable
from relabel.rejected import Code, Rejected
from relabel.spec import Source

SUFFIXES = tuple(name + end for name in (".jsonl", ".ndjson", ".json") for end in ("", ".gz", ".zst"))

_ROWS_FOR_TYPES = 1000


def scan(file: SourceFile, source: Source, unit_rows: int) -> list[Unit]:
    can_seek = files.compression_of(file) is None
    with files.reading(file), files.open_stream(file) as stream:
        return cut_rows(file, (offset if can_seek else 0 for offset, _ in _lines(stream)), unit_rows)


def columns_of(file: SourceFile, source: Source) -> pa.Schema:
    with files.reading(file), files.open_stream(file) as stream:
        return infer_schema([_parse(line) for _, line in itertools.islice(_lines(stream), _ROWS_FOR_TYPES)])


def read(unit: Unit, source: Source, columns: Sequence[str], kept: pa.Schema) -> Rows:
    earliest = 0 if files.compression_of(unit.file) else unit.first_row
    with (
        files.reading(unit.file),
        streams.borrowed(unit.file, earliest, unit.first_row, lambda: _Lines(unit, earliest)) as lines,
    ):
        return make_rows([_parse(line) for line in lines.take(unit)], columns, kept)


class _Lines:
    """The lines of one file, from row `position` on."""

    def __init__(self, unit: Unit, position: int) -> None:
        self.position = position
        self._stream = files.open_stream(unit.file)
        if unit.offset:
            self._stream.seek(unit.offset)
        self._lines = _lines(self._stream)

    def take(self, unit: Unit) -> list[bytes | None]:
        for _ in itertools.islice(self._lines, unit.first_row - self.position):
            pass
        lines = [line for _, line in itertools.islice(self._lines, unit.num_rows)]
        self.position = unit.first_row + len(lines)
        if len(lines) < unit.num_rows:
            raise SourceUnreadable(f"{unit.file.url} ends before row {unit.first_row + unit.num_rows}; run again")
        return lines

    def close(self) -> None:
        self._stream.close()


def _lines(stream: io.BufferedReader) -> Iterator[tuple[int, bytes | None]]:
    """The byte each line that is not blank begins at, and the line, or None where it is too long to be held."""
    offset = 0
    while line := stream.readline(files.MAX_ROW_BYTES + 1):
        start, end = offset, offset + len(line)
        is_too_long = len(line) > files.MAX_ROW_BYTES
        while is_too_long and not line.endswith(b"\n") and (line := stream.readline(files.MAX_ROW_BYTES)):
            end += len(line)
        offset = end
        if is_too_long or line.strip():
            yield start, None if is_too_long else line


def _parse(line: bytes | None) -> Record:
    if line is None:
        return Rejected(Code.SOURCE, f"a line of more than {files.MAX_ROW_BYTES >> 20} MiB")
    try:
        record = json.loads(line.decode().removeprefix("\ufeff"))
    except UnicodeDecodeError:
        return Rejected(Code.SOURCE, "invalid UTF-8")
    except (ValueError, RecursionError):
        return Rejected(Code.SOURCE, "not a line of JSON")
    return record if isinstance(record, dict) else Rejected(Code.SOURCE, "not a JSON object")
