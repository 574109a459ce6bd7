"""JSON, plain or compressed: an object a line, or all in one array, or each over several lines.

Blank lines are no rows; any other line that is no object is a bad row.
"""

# pyarrow has no types, so that nothing that comes from it has one.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false, reportUnknownLambdaType=false
from __future__ import annotations

import io
import itertools
import json
from collections.abc import Collection, Iterator, Sequence

import pyarrow as pa

from relabel.data.sources import files, streams
from relabel.data.sources.cutting import Cut, cut_rows
from relabel.data.sources.formats.format import Scanned, one_each
from relabel.data.sources.formats.layout import Layout, layout_of, values
from relabel.data.sources.types import json_union
from relabel.data.sources.unit import Rows, SourceFile, Unit
from relabel.data.sources.values import Record, RecordTypes, make_rows, read_int
from relabel.errors import SourceUnreadable
from relabel.rejected import Code, Rejected
from relabel.spec import Source

SUFFIXES = tuple(name + end for name in (".jsonl", ".ndjson", ".json") for end in ("", ".gz", ".zst"))

group, union = one_each, json_union

_METADATA = frozenset(("dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json", "croissant.json"))
"""What `datasets` writes beside its data."""
_PARSER = json.JSONDecoder(parse_int=read_int)


def takes(url: str, *, is_named: bool) -> bool:
    return is_named or url.rpartition("/")[2] not in _METADATA


def scan(file: SourceFile, source: Source, unit_rows: int, needed: Collection[str] | None = None) -> Scanned:
    can_seek = files.compression_of(file) is None
    types = RecordTypes()
    first: list[Record] = []

    def offsets(records: Iterator[tuple[int, bytes | None]]) -> Iterator[int]:
        for offset, text in records:
            if not first or needed is None or not types.are_settled(needed):
                record = _parse(text)
                types.add(record)
                first.extend([] if first else [record])
            yield offset if can_seek else 0

    with files.reading(file), files.open_stream(file) as stream:
        layout = layout_of(stream, is_document=_is_document(file))
        units = cut_rows(file, offsets(_texts(stream, layout, 0)), unit_rows)
        if units.num_rows == 1 and (
            note := _no_row(first[0], layout, is_document=_is_document(file), needed=needed or ())
        ):
            return Scanned(units=Cut(file, ()), columns=pa.schema([]), note=note)
    why = first[0] if first and not types.schema.names else None
    note = f"not one of its records has columns; of the first: {why.detail}" if isinstance(why, Rejected) else ""
    return Scanned(units=units, columns=types.schema, note=note)


def read(unit: Unit, source: Source, columns: Sequence[str], kept: pa.Schema) -> Rows:
    files.check_unchanged(unit.file)
    earliest = 0 if files.compression_of(unit.file) else unit.first_row
    with (
        files.reading(unit.file),
        streams.borrowed(unit.file, earliest, unit.first_row, lambda: _Texts(unit, earliest)) as texts,
    ):
        return make_rows([_parse(text) for text in texts.take(unit)], columns, kept)


def _no_row(record: Record, layout: Layout, *, is_document: bool, needed: Collection[str]) -> str:
    """Why the only record of a file is no row of a dataset; empty where it is one.

    Raises OSError where it may be one row or many, of which nobody shall lose any.
    """
    if isinstance(record, Rejected):
        return ""
    if is_document and not record.keys() & set(needed):
        for name, value in record.items():
            if _are_rows(value):
                return f"it is one JSON object, with a list of objects under {name[:40]!r}: write that list as a file"
    sizes = {len(value) if isinstance(value, list | dict) else -1 for value in record.values()}
    if is_document and len(record) > 1 and len(sizes) == 1 and min(sizes) > 1:
        raise OSError(
            "it is one JSON object of lists as long as each other, a table by columns: write an object for each row"
        )
    if layout is Layout.VALUES:
        return "it is one JSON object over several lines; write a row on one line if it is one"
    return ""


def _are_rows(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


class _Texts:
    """The records of one file as text, from row `position` on."""

    def __init__(self, unit: Unit, position: int) -> None:
        self.position = position
        self._stream = files.open_stream(unit.file)
        self._texts = _texts(self._stream, layout_of(self._stream, is_document=_is_document(unit.file)), unit.offset)

    def take(self, unit: Unit) -> list[bytes | None]:
        for _ in itertools.islice(self._texts, unit.first_row - self.position):
            pass
        texts = [text for _, text in itertools.islice(self._texts, unit.num_rows)]
        self.position = unit.first_row + len(texts)
        if len(texts) < unit.num_rows:
            raise SourceUnreadable(f"{unit.file.url} ends before row {unit.first_row + unit.num_rows}; run again")
        return texts

    def close(self) -> None:
        self._stream.close()


def _is_document(file: SourceFile) -> bool:
    return file.url.lower().removesuffix(".gz").removesuffix(".zst").endswith(".json")


def _texts(stream: io.BufferedReader, layout: Layout, start: int) -> Iterator[tuple[int, bytes | None]]:
    """The byte each record begins at, and its text, or None where it is too long to be held; from a byte on."""
    if layout is not Layout.LINES:
        return values(stream, layout, start)
    if start:
        stream.seek(start)
    return _lines(stream, start)


def _lines(stream: io.BufferedReader, offset: int) -> Iterator[tuple[int, bytes | None]]:
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
        record = _PARSER.decode(line.decode().removeprefix("\ufeff"))
    except UnicodeDecodeError:
        return Rejected(Code.SOURCE, "invalid UTF-8")
    except (ValueError, RecursionError):
        return Rejected(Code.SOURCE, "not a line of JSON")
    return record if isinstance(record, dict) else Rejected(Code.SOURCE, "not a JSON object")
