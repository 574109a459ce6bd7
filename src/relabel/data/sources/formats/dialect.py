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


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """What is to be known of a file before its first record is read."""

    encoding: str
    delimiter: str
    quote: str
    """Empty where quotes are letters."""
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
    return _dialect(file, source.delimiter, source.encoding, source.quote)


@functools.lru_cache(maxsize=64)
def _dialect(file: SourceFile, delimiter: str | None, encoding: str | None, quote: str | None) -> Dialect:
    with files.open_stream(file) as stream:
        head = stream.read(_HEAD_BYTES)
    files.check_kind(head, "csv")
    is_cut = len(head) == _HEAD_BYTES
    encoding = encoding or _encoding_of(head)
    text = codecs.getincrementaldecoder(encoding)("replace").decode(head, final=not is_cut).removeprefix("\ufeff")
    sep = _SEP_LINE.match(text)
    first = "\t" if _is_of_tabs(file) else ","
    table, delimiter = text[sep.end() if sep else 0 :], delimiter or (sep[1] if sep else None)
    marks = _DELIMITERS if delimiter is None else (delimiter,)
    if quote is None and "\t" in marks and not _fitting(table, marks, '"', is_cut=is_cut, strict=True):
        quote = "none" if _has_letters_for_quotes(table, is_cut=is_cut) else None
    quote = {"none": "", None: '"'}.get(quote, quote or "")
    found = delimiter or _delimiter_of(_fitting(table, marks, quote, is_cut=is_cut), first)
    first_end = _LINE_END.search(text)
    newline = b"\r" if first_end and first_end[0] == "\r" else b"\n"
    return Dialect(encoding=encoding, delimiter=found, quote=quote, newline=newline, has_sep_line=sep is not None)


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


def _fitting(text: str, delimiters: Sequence[str], quote: str, *, is_cut: bool, strict: bool = False) -> list[str]:
    """The delimiters by which the first records have equal numbers of fields, more than one."""
    return [mark for mark in delimiters if _is_table(_records(text, mark, quote, is_cut=is_cut, strict=strict))]


def _has_letters_for_quotes(text: str, *, is_cut: bool) -> bool:
    """Whether records of tabs are a table where quotes are letters, and no field of it is a whole one in quotes.

    Of commas nobody can say so: there a quote that is not closed is damage.
    """
    records = _records(text, "\t", "", is_cut=is_cut)
    fields = [field for record in records for field in record]
    return _is_table(records) and not any(len(field) > 1 and field[0] == field[-1] == '"' for field in fields)


def _records(text: str, delimiter: str, quote: str, *, is_cut: bool, strict: bool = False) -> list[list[str]]:
    """The first records; none where one of them cannot be read."""
    lines = io.StringIO(text.replace("\r\n", "\n").replace("\r", "\n"))
    reader = csv.reader(lines, delimiter=delimiter, strict=strict, **quoting(quote))
    records: list[list[str]] = []
    try:
        records.extend(row for row in itertools.islice(reader, _NUM_RECORDS) if row)
    except csv.Error:
        if not is_cut or lines.readline():  # else it ends inside a quote, as the text is cut there
            return []
        return records
    return records[:-1] if is_cut and len(records) < _NUM_RECORDS else records


def _is_table(records: list[list[str]]) -> bool:
    return bool(records) and len(records[0]) > 1 and len({len(row) for row in records}) == 1


class _Quoting(TypedDict, total=False):
    quotechar: str
    quoting: Literal[3]


def quoting(quote: str) -> _Quoting:
    """Arguments of Python's reader for a quote; empty for none."""
    return {"quotechar": quote} if quote else {"quoting": csv.QUOTE_NONE}


def _is_of_tabs(file: SourceFile) -> bool:
    return file.url.lower().removesuffix(".gz").removesuffix(".zst").endswith(".tsv")
