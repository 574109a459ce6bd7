"""CSV, plain or compressed: a header, then rows of text as Python's csv module reads them in the file's dialect.

A row that does not parse or has another number of fields is a bad row. A quote that is never closed swallows the rows
after it, so it costs the file.
"""

# pyarrow has no types, so that nothing that comes from it has one.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false, reportUnknownLambdaType=false
from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Collection, Iterator, Sequence
from typing import Protocol

import pyarrow as pa

from relabel.data.sources import files, streams
from relabel.data.sources.cutting import cut_rows
from relabel.data.sources.formats.dialect import Dialect, dialect_of
from relabel.data.sources.formats.format import Scanned, one_each, takes_all
from relabel.data.sources.types import arrow_union
from relabel.data.sources.unit import Rows, SourceFile, Unit
from relabel.data.sources.values import Record, is_unicode, make_rows
from relabel.errors import SourceUnreadable
from relabel.rejected import Code, Rejected
from relabel.spec import Source

SUFFIXES = tuple(name + end for name in (".csv", ".tsv") for end in ("", ".gz", ".zst"))

takes, group, union = takes_all, one_each, arrow_union

csv.field_size_limit(max(csv.field_size_limit(), files.MAX_ROW_BYTES))  # 128 KiB by default; the feed below bounds it


def scan(file: SourceFile, source: Source, unit_rows: int, needed: Collection[str] | None = None) -> Scanned:
    with files.reading(file), files.open_stream(file) as stream:
        dialect = dialect_of(file, source)
        can_seek = dialect.has_places and files.compression_of(file) is None
        feed = _feed(stream, dialect)
        names = _header(feed, dialect)
        records = _records(feed, dialect)
        units = cut_rows(file, (offset if can_seek else 0 for offset, _ in records), unit_rows)
        return Scanned(units=units, columns=pa.schema([(name, pa.string()) for name in names]))


def read(unit: Unit, source: Source, columns: Sequence[str], kept: pa.Schema) -> Rows:
    files.check_unchanged(unit.file)
    earliest = unit.first_row if unit.offset else 0
    key = (unit.file, source.delimiter, source.encoding, source.quote, source.escape)
    with (
        files.reading(unit.file),
        streams.borrowed(key, earliest, unit.first_row, lambda: _Table(unit, earliest, source)) as table,
    ):
        records = table.take(unit)
        for name in columns:
            if table.names.count(name) != 1:
                problem = "has no column" if name not in table.names else "has more than one column"
                raise SourceUnreadable(f"{unit.file.url} {problem} {name}; correct it or take the file away")
        return make_rows(records, columns, kept)


class _Table:
    """The records of one file, from row `position` on."""

    def __init__(self, unit: Unit, position: int, source: Source) -> None:
        self.position = position
        self._stream = files.open_stream(unit.file)
        dialect = dialect_of(unit.file, source)
        feed = _feed(self._stream, dialect)
        self.names = _header(feed, dialect)
        if unit.offset:
            self._stream.seek(unit.offset)
            feed = _feed(self._stream, dialect)
        self._records = _records(feed, dialect)

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


class _Feed(Protocol):
    """The lines of a file as text, counted, so that a record's place in it is known."""

    offset: int
    """The byte at which the next line begins, where lines of text are lines of bytes."""
    is_at_end: bool
    record_size: int
    """Bytes, or characters, since the record began; set to 0 by whoever reads one."""

    def __iter__(self) -> Iterator[str]: ...

    def __next__(self) -> str: ...


class _ByteFeed:
    """Lines of bytes, each decoded by itself: one that cannot be costs its own record."""

    def __init__(self, stream: io.BufferedReader, dialect: Dialect) -> None:
        self.offset = stream.tell() if stream.seekable() else 0
        self.is_at_end = False
        self.record_size = 0
        self._stream, self._encoding = stream, dialect.encoding

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._stream.readline(files.MAX_ROW_BYTES + 1)
        if not line:
            self.is_at_end = True
            raise StopIteration
        self.offset += len(line)
        self.record_size += len(line)
        _check_size(self.record_size)
        text = line.decode(self._encoding, errors="surrogateescape")
        return text.removeprefix("\ufeff") if self.offset == len(line) else text


class _TextFeed:
    """Lines of a text that can only be read from its beginning: of wide characters, or ended by carriage returns."""

    def __init__(self, stream: io.BufferedReader, dialect: Dialect) -> None:
        self.offset = 0
        self.is_at_end = False
        self.record_size = 0
        errors = "surrogateescape" if dialect.is_by_bytes else "strict"
        self._text = io.TextIOWrapper(stream, encoding=dialect.encoding, errors=errors, newline="")
        self._is_first = True

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._text.readline(files.MAX_ROW_BYTES + 1)
        if not line:
            self.is_at_end = True
            raise StopIteration
        self.record_size += len(line)
        _check_size(self.record_size)
        line, self._is_first = line.removeprefix("\ufeff") if self._is_first else line, False
        return line


def _feed(stream: io.BufferedReader, dialect: Dialect) -> _Feed:
    return _ByteFeed(stream, dialect) if dialect.has_places else _TextFeed(stream, dialect)


def _check_size(size: int) -> None:
    if size > files.MAX_ROW_BYTES:
        raise OSError(
            f"it has a row of more than {files.MAX_ROW_BYTES >> 20} MiB: a quote is not closed; see source.quote"
        )


def _records(feed: _Feed, dialect: Dialect) -> Iterator[tuple[int, list[str] | Rejected]]:
    """The byte each row begins at, and its fields, or why it has none. Blank lines are no rows."""
    reader = csv.reader(feed, delimiter=dialect.delimiter, strict=True, **dialect.quoting.arguments)
    while True:
        start, feed.record_size = feed.offset, 0
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:  # the reader goes on with the next line
            if feed.is_at_end:
                raise OSError(
                    "it ends inside a quote: cut short, or a quote is not closed; where quotes are letters, set "
                    "source.quote to none"
                ) from error
            fields = Rejected(Code.SOURCE, "not a row of CSV")
        if fields:
            yield start, fields


def _header(feed: _Feed, dialect: Dialect) -> list[str]:
    if dialect.has_sep_line:
        next(feed, None)
    _, fields = next(_records(feed, dialect), (0, None))
    if fields is None or isinstance(fields, Rejected):
        raise OSError("it has no header row; if it is written in an unusual way, say so in source.delimiter")
    if not is_unicode(fields):
        raise OSError(f"its header is not valid {dialect.encoding.upper()}; name its encoding in source.encoding")
    if any("\0" in name for name in fields):
        raise OSError("its header has NUL bytes, as UTF-16 has; name its encoding in source.encoding")
    return fields
