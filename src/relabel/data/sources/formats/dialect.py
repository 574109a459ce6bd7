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
from dataclasses import dataclass

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
_BY_BYTES = re.compile(r"ascii|utf-8|cp125\d|iso8859-\d+|koi8-.|mac-.*|cp\d{3}")
_LINE_END = re.compile(r"\r\n|\n|\r")
_SEP_LINE = re.compile(r'"?sep=(.)"?\r?\n?')


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """What is to be known of a file before its first record is read."""

    encoding: str
    delimiter: str
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
    return _dialect(file, source.delimiter, source.encoding)


@functools.lru_cache(maxsize=64)
def _dialect(file: SourceFile, delimiter: str | None, encoding: str | None) -> Dialect:
    with files.open_stream(file) as stream:
        head = stream.read(_HEAD_BYTES)
    is_cut = len(head) == _HEAD_BYTES
    encoding = encoding or _encoding_of(head)
    text = codecs.getincrementaldecoder(encoding)("replace").decode(head, final=not is_cut).removeprefix("\ufeff")
    sep = _SEP_LINE.match(text)
    first = "\t" if _is_of_tabs(file) else ","
    found = delimiter or (sep and sep[1]) or _delimiter_of(text[sep.end() if sep else 0 :], first, is_cut=is_cut)
    first_end = _LINE_END.search(text)
    newline = b"\r" if first_end and first_end[0] == "\r" else b"\n"
    return Dialect(encoding=encoding, delimiter=found, newline=newline, has_sep_line=sep is not None)


def _encoding_of(head: bytes) -> str:
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        # One sequence of UTF-8 is enough: other bytes are then damage, which costs its rows.
        is_utf_8 = any(not char.isascii() for char in head.decode(errors="ignore"))
        return "cp1252" if not is_utf_8 and b"\0" not in head and _WESTERN.fullmatch(head) else "utf-8"
    return "utf-8"


def _delimiter_of(text: str, first: str, *, is_cut: bool) -> str:
    """The usual one, unless records have equal numbers of fields by another one alone."""
    fits = [mark for mark in _DELIMITERS if _is_table(text, mark, is_cut=is_cut)]
    return first if first in fits or len(fits) != 1 else fits[0]


def _is_table(text: str, delimiter: str, *, is_cut: bool) -> bool:
    lines = io.StringIO(text.replace("\r\n", "\n").replace("\r", "\n"))
    try:
        records = [row for row in itertools.islice(csv.reader(lines, delimiter=delimiter), _NUM_RECORDS) if row]
    except csv.Error:
        return False
    if is_cut and len(records) < _NUM_RECORDS:
        records.pop()
    return bool(records) and len(records[0]) > 1 and len({len(row) for row in records}) == 1


def _is_of_tabs(file: SourceFile) -> bool:
    return file.url.lower().removesuffix(".gz").removesuffix(".zst").endswith(".tsv")
