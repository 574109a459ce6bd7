"""How a CSV file is written: delimiter, encoding, line ends. As the spec says, else found where it is plain.

Knows the beginning of a file. The same file is read in the same way by every process.
"""

from __future__ import annotations

import codecs
import csv
import functools
import io
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypedDict

from relabel.data.sources import files
from relabel.data.sources.unit import SourceFile
from relabel.spec import Source

_HEAD_BYTES = 2**18
_NUM_RECORDS = 50
_DELIMITERS = (",", ";", "\t", "|")
_ESCAPE = "\\"
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_WESTERN = re.compile(rb"[\x80\x82-\x8c\x8e\x91-\x9c\x9e\x9f\xa0-\xfe\x00-\x7f]*")
"""Bytes that cp1252 has a character for; but 0xFF, which is rarely the letter that it is there."""
_BEYOND_ASCII = re.compile(rb"[\x80-\xff]")
_FOREIGN = re.compile(rb"[\x80-\xff]{3,}|[\x82\x83\x88\x98]")
"""Three letters in a row that are not of ASCII, or a sign that no Western text has: a DOS or Asian encoding has letters
there, Cyrillic and Greek are nothing but such runs."""
_FEWEST_FOREIGN = 8
"""Bytes: below, a run may be an exclamation in Spanish."""
_BY_BYTES = re.compile(r"ascii|utf-8|cp125\d|iso8859-\d+|koi8-.|mac-.*|cp\d{3}")
_LINE_END = re.compile(r"\r\n|\n|\r")
_SEP_LINE = re.compile(r'"?sep=(.)"?\r?\n?')


class _Arguments(TypedDict, total=False):
    quotechar: str
    quoting: Literal[3]
    escapechar: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Quoting:
    """How a field holds a delimiter, a line end or a quote."""

    quote: str
    """Empty where quotes are letters."""
    escape: str
    """What makes the character after it a letter; empty for none."""

    @property
    def arguments(self) -> _Arguments:
        """Those of Python's reader."""
        arguments: _Arguments = {"quotechar": self.quote} if self.quote else {"quoting": csv.QUOTE_NONE}
        if self.escape:
            arguments["escapechar"] = self.escape
        return arguments


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """What is to be known of a file before its first record is read."""

    encoding: str
    delimiter: str
    quoting: Quoting
    newline: bytes
    """What ends a line of bytes: a line feed, or a carriage return where the header ends with one alone."""
    has_sep_line: bool
    """Whether it begins with `sep=;`, a line for spreadsheets that is no row."""

    @property
    def has_places(self) -> bool:
        """Whether a line of text is a line of bytes, so that a record's place in the file is known."""
        return self.is_by_bytes and self.newline == b"\n"

    @property
    def is_by_bytes(self) -> bool:
        """Whether the characters of ASCII are bytes, and no other character has such a byte."""
        return _BY_BYTES.fullmatch(codecs.lookup(self.encoding).name) is not None


def dialect_of(file: SourceFile, source: Source) -> Dialect:
    """The dialect of one file. Raises OSError where it cannot be read, or not in the encoding that the spec names."""
    return _dialect(file, source.delimiter, source.encoding, source.quote, source.escape)


@functools.lru_cache(maxsize=64)
def _dialect(
    file: SourceFile, delimiter: str | None, encoding: str | None, quote: str | None, escape: str | None
) -> Dialect:
    with files.open_stream(file) as stream:
        head = stream.read(_HEAD_BYTES)
    files.check_kind(head, "csv")
    is_cut = len(head) == _HEAD_BYTES
    encoding = encoding or _encoding_of(head)
    text = codecs.getincrementaldecoder(encoding)("replace").decode(head, final=not is_cut).removeprefix("\ufeff")
    sep = _SEP_LINE.match(text)
    table, delimiter = text[sep.end() if sep else 0 :], delimiter or (sep[1] if sep else None)
    records = _FirstRecords(text=table, is_cut=is_cut)
    marks = (delimiter,) if delimiter else _DELIMITERS
    quoting = _quoting_of(records, marks, quote, escape)
    first_end = _LINE_END.search(text)
    return Dialect(
        encoding=encoding,
        delimiter=delimiter or _delimiter_of(records.tables(marks, quoting), "\t" if _is_of_tabs(file) else ","),
        quoting=quoting,
        newline=b"\r" if first_end and first_end[0] == "\r" else b"\n",
        has_sep_line=sep is not None,
    )


def _encoding_of(head: bytes) -> str:
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        num_chars = sum(not char.isascii() for char in head.decode(errors="ignore"))
        if num_chars >= head.decode(errors="replace").count("\ufffd"):
            return "utf-8"  # other bytes are then damage, which costs its rows
        runs = _FOREIGN.findall(head)
        foreign, is_plain = sum(map(len, runs)), all(len(run) > 1 for run in runs)
        if 2 * foreign > len(_BEYOND_ASCII.findall(head)) and not (is_plain and foreign < _FEWEST_FOREIGN):
            raise OSError("it is no UTF-8, and not plainly another encoding: name it in source.encoding") from None
        return "cp1252" if b"\0" not in head and _WESTERN.fullmatch(head) else "utf-8"
    return "utf-8"


def _delimiter_of(fits: list[str], first: str) -> str:
    """The usual one, unless records have equal numbers of fields by another one alone."""
    return first if first in fits or len(fits) != 1 else fits[0]


def _quoting_of(records: _FirstRecords, marks: Sequence[str], quote: str | None, escape: str | None) -> Quoting:
    """As the spec says, else as the first records can be read at all."""
    usual = Quoting(quote={"none": "", None: '"'}.get(quote, quote or ""), escape=escape or "")
    escaped = Quoting(quote=usual.quote, escape=_ESCAPE)
    if records.tables(marks, usual, strict=True):
        return usual
    if escape is None and records.has_escapes_alone(marks, escaped) and records.tables(marks, escaped, strict=True):
        return escaped
    if quote is None and "\t" in marks and records.have_letters_for_quotes:
        return Quoting(quote="", escape=usual.escape)
    return usual


@dataclass(frozen=True, slots=True, kw_only=True)
class _FirstRecords:
    """The text of a file after its `sep=` line, of which the end may be cut off."""

    text: str
    is_cut: bool

    def tables(self, delimiters: Sequence[str], quoting: Quoting, *, strict: bool = False) -> list[str]:
        """The delimiters by which the records have equal numbers of fields, more than one."""
        return [mark for mark in delimiters if _is_table(self._read(mark, quoting, strict=strict))]

    @property
    def have_letters_for_quotes(self) -> bool:
        """Whether records of tabs are a table where quotes are letters, and no field of it is a whole one in quotes.

        Of commas nobody can say so: there a quote that is not closed is damage.
        """
        records = self._read("\t", Quoting(quote="", escape=""))
        fields = [field for record in records for field in record]
        return _is_table(records) and not any(len(field) > 1 and field[0] == field[-1] == '"' for field in fields)

    def has_escapes_alone(self, delimiters: Sequence[str], quoting: Quoting) -> bool:
        """Whether each escape stands before what needs one: else it is a letter, as in the path of a file."""
        marks = re.escape("".join((quoting.quote, quoting.escape, "\r\n", *delimiters)))
        others = re.sub(rf"{re.escape(quoting.escape)}[{marks}]", "", self.text)
        return quoting.escape not in (others[:-1] if self.is_cut else others)

    def _read(self, delimiter: str, quoting: Quoting, *, strict: bool = False) -> list[list[str]]:
        """The first records; none where one of them cannot be read."""
        lines = io.StringIO(self.text.replace("\r\n", "\n").replace("\r", "\n"))
        reader = csv.reader(lines, delimiter=delimiter, strict=strict, **quoting.arguments)
        records: list[list[str]] = []
        try:
            records.extend(row for row in itertools.islice(reader, _NUM_RECORDS) if row)
        except csv.Error:
            if not self.is_cut or lines.readline():  # else it ends inside a quote, as the text is cut there
                return []
            return records
        return records[:-1] if self.is_cut and len(records) < _NUM_RECORDS else records


def _is_table(records: list[list[str]]) -> bool:
    return bool(records) and len(records[0]) > 1 and len({len(row) for row in records}) == 1


def _is_of_tabs(file: SourceFile) -> bool:
    return file.url.lower().removesuffix(".gz").removesuffix(".zst").endswith(".tsv")
