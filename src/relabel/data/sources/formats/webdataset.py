"""WebDataset shards (plain tar): consecutive members with one key are one row, as the webdataset package has them.

The key of a member is its path up to the first dot of its name, its column is what follows, in lower case; `image` is
the first member whose column is a format of images.
"""

# pyarrow has no types, so that nothing that comes from it has one.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false, reportUnknownLambdaType=false
from __future__ import annotations

import json
import re
import tarfile
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from relabel.data.sources import files
from relabel.data.sources.cutting import cut_rows
from relabel.data.sources.formats import image_folder
from relabel.data.sources.formats.format import Scanned, one_each, takes_all
from relabel.data.sources.formats.tar import Tar, members
from relabel.data.sources.types import arrow_union
from relabel.data.sources.unit import Rows, SourceFile, Unit
from relabel.data.sources.values import Record, is_unicode, make_rows, with_reasons
from relabel.errors import SourceUnreadable
from relabel.rejected import Code, Rejected
from relabel.spec import Source

SUFFIXES = (".tar",)

takes, group, union = takes_all, one_each, arrow_union

_KEY = "__key__"
_IMAGES = frozenset(suffix.removeprefix(".") for suffix in image_folder.SUFFIXES)
_TEXTS = frozenset(("txt", "text", "transcript", "cls", "cls2", "class", "count", "index", "inx", "id"))
"""Extensions that webdataset decodes as text or as a number."""
_JSON = frozenset(("json", "jsn"))
_NAME = re.compile(r"((?:.*/)?[^/.]+)\.([^/]+)", re.DOTALL)
_MAX_COLUMNS = 1000
"""Columns that are told of: a shard with more has its numbers behind the first dot."""


@dataclass(slots=True, kw_only=True)
class _Sample:
    key: str
    offset: int
    members: dict[str, tarfile.TarInfo]


def scan(file: SourceFile, source: Source, unit_rows: int, needed: Collection[str] | None = None) -> Scanned:
    names: dict[str, None] = {}
    passed_over: Counter[str] = Counter()

    def offsets(samples: Iterator[_Sample]) -> Iterator[int]:
        for sample in samples:
            names.update(dict.fromkeys(sample.members))
            yield sample.offset

    with files.reading(file), files.open_stream(file) as stream:
        units = cut_rows(file, offsets(_samples(Tar(stream, file.size), 0, passed_over)), unit_rows)
    told = [name for name in names if is_unicode(name)][:_MAX_COLUMNS]
    columns = pa.schema([(_KEY, pa.string()), *((name, _type_of(name)) for name in told if name != _KEY)])
    return Scanned(units=units, columns=columns, passed_over=passed_over)


def read(unit: Unit, source: Source, columns: Sequence[str], kept: pa.Schema) -> Rows:
    files.check_unchanged(unit.file)
    needed = {*columns, *kept.names}
    records: list[Record] = []
    reasons: list[Rejected | None] = []
    with files.reading(unit.file), files.open_stream(unit.file) as stream:
        tar = Tar(stream, unit.file.size)
        for sample in _samples(tar, unit.offset, Counter()):
            found = _record(tar, sample, needed)
            reasons.append(found if isinstance(found, Rejected) else None)
            # a sample that cannot be read keeps its key, by which it is found again
            records.append({_KEY: sample.key} if isinstance(found, Rejected) else found)
            if len(records) == unit.num_rows:
                return with_reasons(make_rows(records, columns, kept), reasons)
    raise SourceUnreadable(f"{unit.file.url} ends before row {unit.first_row + unit.num_rows}; run again")


def _samples(tar: Tar, offset: int, passed_over: Counter[str]) -> Iterator[_Sample]:
    """The samples from a byte on. Members that belong to none, or come twice, are counted."""
    sample = None
    for start, member in members(tar, offset):
        match = _NAME.fullmatch(member.name)
        if not member.isreg() or member.issparse():
            passed_over["links and devices in archives"] += 1
            continue
        if match is None:
            passed_over["members without a key"] += 1
            continue
        key, column = match[1], match[2].lower()
        if sample is None or sample.key != key:
            if sample is not None:
                yield sample
            sample = _Sample(key=key, offset=start, members={})
        if column in sample.members:
            passed_over["members that come twice"] += 1
            continue
        sample.members[column] = member
        if column in _IMAGES:
            sample.members.setdefault("image", member)
    if sample is not None:
        yield sample


def _type_of(column: str) -> pa.DataType:
    return pa.string() if column in _TEXTS | _JSON else pa.binary()


def _record(tar: Tar, sample: _Sample, needed: set[str]) -> Record:
    record: dict[str, object] = {_KEY: sample.key}
    for column in sorted(needed & sample.members.keys()):
        member = sample.members[column]
        is_text = column in _TEXTS | _JSON
        limit = files.MAX_ROW_BYTES if is_text else files.MAX_IMAGE_BYTES
        if member.size > limit:
            return Rejected(Code.SOURCE, f"{column} is over {limit >> 20} MiB")
        body = tar.body(member)
        try:
            value = body.decode() if is_text else body
        except UnicodeDecodeError:
            return Rejected(Code.SOURCE, f"{column} is not valid UTF-8")
        try:
            record[column] = json.loads(value) if column in _JSON else value
        except (ValueError, RecursionError):
            return Rejected(Code.SOURCE, f"{column} is not valid JSON")
    return record
