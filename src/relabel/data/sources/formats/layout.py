"""How the records of a JSON file lie in it: one a line, in an array, or one after the other over several lines.

Knows the text of a file's beginning, and how one record is told from the next; never what is in one.
"""

from __future__ import annotations

import codecs
import io
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from enum import Enum

from relabel.data.sources import files

HEAD_BYTES = 2**16
_SPACE = b" \t\r\n"
_SPACES = re.compile(r"[ \t\r\n]*")
_NEXT = re.compile(rb"[ \t]*\{")
_NEXT_BEHIND_CR = re.compile(rb"\r[\r \t]*\{")
_CHUNK = 2**20
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_BOM = b"\xef\xbb\xbf"
_DECODER = json.JSONDecoder()


class Layout(Enum):
    LINES = "lines"
    ARRAY = "array"
    VALUES = "values"
    """Objects one after the other, each over several lines or ended by a carriage return, or all on one line."""


def layout_of(stream: io.BufferedReader, *, is_document: bool) -> Layout:
    """How the records of a file lie, whose stream is at its beginning and stays there. Raises OSError where none do.

    `is_document`: its name does not say that it has lines, so that an array on one line is one of rows.
    """
    head = stream.peek(HEAD_BYTES)[:HEAD_BYTES]
    files.check_kind(head, "json")
    if head.startswith(_UTF_16) or b"\0" in head[:4]:
        raise OSError("it is UTF-16; write it as UTF-8")
    text = head.removeprefix(_BOM).lstrip(_SPACE)
    line = text.partition(b"\n")[0]
    behind = text[len(line) :].strip(_SPACE)
    if not is_document and behind and _end_of_value(line) == len(line.rstrip(_SPACE)):
        return Layout.LINES
    if text.startswith(b"["):
        inside = text[1:].lstrip(_SPACE)
        if inside.startswith((b"{", b"]")):
            return Layout.ARRAY
        if is_document and len(head) < HEAD_BYTES and _end_of_value(text) == len(text.rstrip(_SPACE)):
            raise OSError("it is one JSON array, and not of objects: there are no rows in it")
        return Layout.LINES
    if not text.startswith(b"{"):
        return Layout.LINES
    if (end := _end_of_value(text)) is None:
        return Layout.VALUES if line.strip(_SPACE) == b"{" else Layout.LINES
    is_spread = end > len(line) or _NEXT_BEHIND_CR.match(text, end) or (not behind and _NEXT.match(text, end))
    return Layout.VALUES if is_spread else Layout.LINES


def values(stream: io.BufferedReader, layout: Layout, start: int) -> Iterator[tuple[int, bytes]]:
    """The byte each value of an array or of a file begins at, and its text, from a byte on. Raises OSError.

    A value that is no JSON ends the file: nothing tells where the next one begins.
    """
    reader = _Values(stream, start)
    is_array = layout is Layout.ARRAY
    if is_array and not start:
        reader.take("[")
    while mark := reader.look():
        if is_array and mark == "]":
            reader.take("]")
            if reader.look():
                raise OSError("it goes on after its JSON array: its lines are arrays, or two files were joined")
            return
        yield reader.value()
        if is_array and reader.look() == ",":
            reader.take(",")
            if reader.look() == "]":
                raise OSError("its JSON array has a comma behind its last object")
        elif is_array and reader.look() not in ("]", ""):
            raise OSError("there is no comma between two objects of its JSON array")
    if is_array:
        raise OSError("it ends inside its JSON array: it is cut short")


class _Values:
    """A window on a stream as text, and the byte of the file at which it is."""

    def __init__(self, stream: io.BufferedReader, start: int) -> None:
        self._stream, self._offset = stream, start
        self._text, self._at = "", 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        if start:
            stream.seek(start)
        elif self._fill() and self._text.startswith("\ufeff"):
            self._at, self._offset = 1, len(_BOM)

    def look(self) -> str:
        """The next character that is no space; empty at the end."""
        while True:
            match = _SPACES.match(self._text, self._at)
            end = self._at if match is None else match.end()
            self._offset += end - self._at
            self._at = end
            if end < len(self._text):
                return self._text[end]
            if not self._fill():
                return ""

    def take(self, mark: str) -> None:
        if self.look() != mark:
            raise OSError("it is no JSON")
        self._at, self._offset = self._at + 1, self._offset + 1

    def value(self) -> tuple[int, bytes]:
        """Where the next value begins, and its text."""
        self.look()
        while True:
            is_whole, end = False, len(self._text)
            with suppress(ValueError, RecursionError):
                _, end = _DECODER.raw_decode(self._text, self._at)
                is_whole = True
            if is_whole and (end < len(self._text) or self._text[end - 1] in '"]}'):
                break
            if end - self._at > files.MAX_ROW_BYTES:
                raise OSError(f"at byte {self._offset} begins no JSON value of at most {files.MAX_ROW_BYTES >> 20} MiB")
            if not self._fill(len(self._text) - self._at):
                if is_whole:
                    break
                raise OSError(f"the JSON value at byte {self._offset} is damaged or cut short")
        text = self._text[self._at : end].encode(errors="surrogateescape")
        start, self._at, self._offset = self._offset, end, self._offset + len(text)
        return start, text

    def _fill(self, at_least: int = 0) -> bool:
        more = self._stream.read(max(_CHUNK, at_least))
        self._text = self._text[self._at :] + self._decoder.decode(more, final=not more)
        self._at = 0
        return bool(more)


def _end_of_value(window: bytes) -> int | None:
    """Where the JSON value at the beginning ends; None where it does not."""
    text = window.decode(errors="surrogateescape")
    try:
        _, end = _DECODER.raw_decode(text)
    except (ValueError, RecursionError):
        return None
    return len(text[:end].encode(errors="surrogateescape"))
