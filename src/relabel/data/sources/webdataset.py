"""WebDataset shards (plain tar): consecutive members with one key are one row. Nothing is ever extracted to a disk.

Python's tarfile ends silently at a damaged header and at the first end mark; here both cost the file.
"""

# pyarrow has no types, so that nothing that comes from it has one.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false, reportUnknownLambdaType=false
from __future__ import annotations

import io
import json
import re
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from relabel.data.sources import files, image_folder
from relabel.data.sources.cutting import cut_rows
from relabel.data.sources.unit import Rows, SourceFile, Unit
from relabel.data.sources.values import Record, make_rows
from relabel.errors import SourceUnreadable
from relabel.rejected import Code, Rejected
from relabel.spec import Source

SUFFIXES = (".tar",)
SCHEMA = pa.schema([("__key__", pa.string()), ("image", pa.binary()), ("txt", pa.string()), ("json", pa.string())])

_IMAGES = frozenset(suffix.removeprefix(".") for suffix in image_folder.SUFFIXES)
_NAME = re.compile(r"((?:.*/)?[^/.]+)\.([^/]+)", re.DOTALL)
_END = bytes(tarfile.BLOCKSIZE)
_MAX_BYTES = {"image": files.MAX_IMAGE_BYTES, "txt": files.MAX_ROW_BYTES, "json": files.MAX_ROW_BYTES}


@dataclass(slots=True, kw_only=True)
class _Sample:
    key: str
    offset: int
    members: dict[str, tarfile.TarInfo]


def scan(file: SourceFile, source: Source, unit_rows: int) -> list[Unit]:
    with files.reading(file), files.open_stream(file) as stream:
        return cut_rows(file, (sample.offset for sample in _samples(_Tar(stream, file.size), 0)), unit_rows)


def columns_of(file: SourceFile, source: Source) -> pa.Schema:
    return SCHEMA


def read(unit: Unit, source: Source, columns: Sequence[str], kept: pa.Schema) -> Rows:
    needed = {*columns, *kept.names}
    records = []
    with files.reading(unit.file), files.open_stream(unit.file) as stream:
        tar = _Tar(stream, unit.file.size)
        for sample in _samples(tar, unit.offset):
            records.append(_record(tar, sample, needed))
            if len(records) == unit.num_rows:
                return make_rows(records, columns, kept)
    raise SourceUnreadable(f"{unit.file.url} ends before row {unit.first_row + unit.num_rows}; run again")


class _Tar:
    """The bytes of an archive. Never reads past its end, whatever size a header claims."""

    def __init__(self, stream: io.BufferedReader, size: int) -> None:
        self._stream, self.size = stream, size

    def tell(self) -> int:
        return self._stream.tell()

    def seek(self, offset: int) -> int:
        return self._stream.seek(min(offset, self.size))

    def read(self, num_bytes: int) -> bytes:
        return self._stream.read(max(0, min(num_bytes, self.size - self.tell())))

    def body(self, member: tarfile.TarInfo) -> bytes:
        self.seek(member.offset_data)
        body = self.read(member.size)
        if len(body) < member.size:
            raise OSError("it ends inside a member")
        return body


def _samples(tar: _Tar, offset: int) -> Iterator[_Sample]:
    sample = None
    for start, member in _members(tar, offset):
        match = _NAME.fullmatch(member.name)
        if match is None:
            continue
        key, extension = match[1], match[2].lower()
        if sample is None or sample.key != key:
            if sample is not None:
                yield sample
            sample = _Sample(key=key, offset=start, members={})
        column = "image" if extension in _IMAGES else extension
        if column in _MAX_BYTES:
            sample.members.setdefault(column, member)
    if sample is not None:
        yield sample


def _members(tar: _Tar, offset: int) -> Iterator[tuple[int, tarfile.TarInfo]]:
    """The regular files of the archive and where their headers begin; links and devices are passed over."""
    tar.seek(0)
    archive, start = _archive(tar), offset
    while True:
        tar.seek(start)
        if (head := tar.read(tarfile.BLOCKSIZE)) == _END:
            _check_end(tar)
            return
        if len(head) < tarfile.BLOCKSIZE:
            raise OSError("it is cut short: it has no end mark")
        tar.seek(start)
        try:
            member = tarfile.TarInfo.fromtarfile(archive)
        except (tarfile.TarError, ValueError, OverflowError, RecursionError) as error:
            raise OSError(f"the header at byte {start} is damaged") from error
        if archive.offset <= start or member.size < 0:
            raise OSError(f"the header at byte {start} is damaged")
        if member.isreg() and not member.issparse():
            if member.offset_data + member.size > tar.size:
                raise OSError("it is cut short inside a member")
            yield start, member
        start = archive.offset


def _archive(tar: _Tar) -> tarfile.TarFile:
    """Python's reader of headers; it looks at the first one by itself."""
    try:
        return tarfile.TarFile(fileobj=tar, errors="surrogateescape")  # pyright: ignore[reportArgumentType]
    except (tarfile.TarError, ValueError, OverflowError, RecursionError) as error:
        raise OSError("it does not begin as a tar archive does") from error


def _check_end(tar: _Tar) -> None:
    while block := tar.read(2**20):
        if block.strip(b"\0"):
            raise OSError("it goes on after its end mark, as when archives are joined; join them as archives")


def _record(tar: _Tar, sample: _Sample, needed: set[str]) -> Record:
    record: dict[str, object] = {"__key__": sample.key}
    for column in sorted(needed & sample.members.keys()):
        member = sample.members[column]
        if member.size > _MAX_BYTES[column]:
            return Rejected(Code.SOURCE, f"{column} is over {_MAX_BYTES[column] >> 20} MiB")
        body = tar.body(member)
        try:
            value = body if column == "image" else body.decode()
        except UnicodeDecodeError:
            return Rejected(Code.SOURCE, f"{column} is not valid UTF-8")
        try:
            record[column] = json.loads(value) if column == "json" else value
        except (ValueError, RecursionError):
            return Rejected(Code.SOURCE, "json is not valid JSON")
    return record
