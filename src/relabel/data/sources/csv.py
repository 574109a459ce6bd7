"""CSV and TSV, plain or compressed: a header, then rows of text as Python's csv module reads them, strictly.

A row that does not parse or has another number of fields is a bad row. A quote that is never closed swallows the rows
after it, so it costs the file.
"""

# pyarrow has no types, so that nothing that comes from it has one.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false, reportUnknownLambdaType=false
from __future__ import annotations

import codecs
import csv
import io
import itertools
from collections.abc import Iterator, Sequence

import pyarrow as pa

from relabel.data.sources import files, streams
from relabel.data.sources.cutting import cut_rows
from relabel.data.sources.unit import Rows, SourceFile, Unit
from relabel.data.sources.values import Record, is_unicode, make_rows
from relabel.errors import SourceUnreadable
from relabel.rejected import Code, Rejected
from relabel.spec import Source

SUFFIXES = tuple(name + end for name in (".csv", ".tsv") for end in ("", ".gz", ".zst"))

csv.field_size_limit(max(csv.field_size_limit(), files.MAX_ROW_BYTES))  # 128 KiB by default; the feed below bounds it


def scan(file: SourceFile, source: Source, unit_rows: int) -> list[Unit]:
    can_seek = files.compression_of(file) is None
    with files.reading(file), files.open_stream(file) as stream:
        _header(file, stream)
        records = _records(stream, _delimiter(file))
        return cut_rows(file, (offset if can_seek else 0 for offset, _ in records), unit_rows)


def columns_of(file: SourceFile, source: Source) -> pa.Schema:
    with files.reading(file), files.open_stream(file) as stream:
        return pa.schema([(name, pa.string()) for name in _header(file, stream)])


def read(unit: Unit, source: Source, columns: Sequence[str], kept: pa.Schema) -> Rows:
    earliest = 0 if files.compression_of(unit.file) else unit.first_row
    with (
        files.reading(unit.file),
        streams.borrowed(unit.file, earliest, unit.first_row, lambda: _Table(unit, earliest)) as table,
    ):
        records = table.take(unit)
        if missing := [name for name in (*columns, *kept.names) if name not in table.names]:
            raise SourceUnreadable(f"{unit.file.url} has no column {missing[0]}; add it or take the file away")
        return make_rows(records, columns, kept)


class _Table:
    """The records of one file, from row `position` on."""

    def __init__(self, unit: Unit, position: int) -> None:
        self.position = position
        self._stream = files.open_stream(unit.file)
        self.names = _header(unit.file, self._stream)
        if unit.offset:
            self._stream.seek(unit.offset)
        self._records = _records(self._stream, _delimiter(unit.file))

    def take(self, unit: Unit) -> list[Record]:
        for _ in itertools.islice(self._records, unit.first_row - self.position):
            pass
        records = [self._name(fields) for _, fields in itertools.islice(self._records, unit.num_rows)]
        self.position = unit.first_row + len(records)
        if len(records) < unit.num_rows:
            raise SourceUnreadable(f"{unit.file.url} ends before row {unit.first_row + unit.num_rows}; run again")
        return records

    def _name(self, fields: list[str] | Rejected) -> Record:
        if isinstance(fields, Rejected):
            return fields
        if len(fields) != len(self.names):
            return Rejected(Code.SOURCE, f"{len(fields)} fields where the header has {len(self.names)}")
        return dict(zip(self.names, fields, strict=True))

    def close(self) -> None:
        self._stream.close()


class _Feed:
    """The lines of a stream as text, counted, so that a record's place in the file is known."""

    def __init__(self, stream: io.BufferedReader) -> None:
        self.offset = stream.tell() if stream.seekable() else 0
        self.is_at_end = False
        self.record_bytes = 0
        self._stream = stream

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._stream.readline(files.MAX_ROW_BYTES + 1)
        if not line:
            self.is_at_end = True
            raise StopIteration
        self.offset += len(line)
        self.record_bytes += len(line)
        if self.record_bytes > files.MAX_ROW_BYTES:
            raise OSError(f"it has a row of more than {files.MAX_ROW_BYTES >> 20} MiB: a quote is not closed")
        if self.offset == len(line):
            line = line.removeprefix(codecs.BOM_UTF8)
        return line.decode(errors="surrogateescape")


def _records(stream: io.BufferedReader, delimiter: str) -> Iterator[tuple[int, list[str] | Rejected]]:
    """The byte each row begins at, and its fields, or why it has none. Blank lines are no rows."""
    feed = _Feed(stream)
    reader = csv.reader(feed, delimiter=delimiter, strict=True)
    while True:
        start, feed.record_bytes = feed.offset, 0
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:  # the reader goes on with the next line
            if feed.is_at_end:
                raise OSError("it ends inside a quote: cut short, or a quote is not closed") from error
            fields = Rejected(Code.SOURCE, "not a row of CSV")
        if fields:
            yield start, fields


def _header(file: SourceFile, stream: io.BufferedReader) -> list[str]:
    _, fields = next(_records(stream, _delimiter(file)), (0, None))
    if fields is None or isinstance(fields, Rejected):
        raise OSError("it has no header row")
    if len(set(fields)) < len(fields):
        raise OSError("its header names a column twice")
    if not is_unicode(fields):
        raise OSError("its header is not valid UTF-8")
    return fields


def _delimiter(file: SourceFile) -> str:
    name = file.url.lower().removesuffix(".gz").removesuffix(".zst")
    return "\t" if name.endswith(".tsv") else ","
