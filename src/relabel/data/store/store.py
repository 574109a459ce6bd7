"""The output folder: parts and small JSON documents.

Knows names, and how rows and documents become bytes. Must never know which parts there should be, or what their rows
mean; where the bytes are kept is the business of `objects`.
"""

# pyarrow has no types, so that nothing that comes from it has one.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false, reportUnknownLambdaType=false
from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import pyarrow as pa

from relabel.data.store.failpoints import OnFailpoint, pass_by
from relabel.data.store.objects import GONE, Listed, Objects, Version
from relabel.data.store.part import TAIL, decode_rows, decode_stamp, decode_table, encode_part, footer_size
from relabel.data.store.stamp import Stamp
from relabel.errors import PartDamaged, StoreFailed

if TYPE_CHECKING:
    from obstore import Bytes

NUM_IN_FLIGHT = 256
"""Stamps that are read at a time: an object store answers after some 20 to 50 ms, whoever else asks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part as it was read."""

    stamp: Stamp
    rows: pa.Table
    version: Version


def _footer_of(tail: Bytes | bytes) -> int:
    return footer_size(memoryview(tail))


def _compact(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


_HIDDEN = re.compile(r"(^|/)[_.]")


class Store:
    """An output folder, by local path or by s3://, gs:// or az:// URL."""

    def __init__(self, url: str, *, create: bool = True, on_failpoint: OnFailpoint = pass_by) -> None:
        """Raises Refused if the folder cannot be reached; without `create`, also if a local folder is not there yet."""
        self._objects = Objects(url, create=create, on_failpoint=on_failpoint)
        self.url = self._objects.url

    def names(self) -> dict[str, Listed]:
        """Everything that readers of the folder see, by name. Names beginning with `_` or `.` are hidden."""
        found = self._objects.listed()
        return {name: found[name] for name in sorted(found) if not _HIDDEN.search(name)}

    def files(self) -> dict[str, Listed]:
        """What lies directly in the folder, hidden or not, by name."""
        return self._objects.listed_directly()

    def documents(self, folder: str) -> dict[str, Listed]:
        """The names below one folder, hidden or not; none where there is no such folder."""
        return self._objects.listed(folder)

    def parts(self) -> dict[str, Listed]:
        """The visible parts, by name."""
        return {name: listed for name, listed in self.names().items() if name.endswith(".parquet")}

    def publish(self, part: str, rows: pa.Table, stamp: Mapping[str, object], bad: Version | None = None) -> bool:
        """Write the part whole, unless it is there. False if another writer, or an earlier try of ours, was first.

        A version of it that is known to be `bad` is written over.
        """
        if bad is not None and self.replace(part, rows, stamp, bad):
            return True
        return self._objects.create(part, encode_part(rows, stamp))

    def replace(self, part: str, rows: pa.Table, stamp: Mapping[str, object], old: Version) -> bool:
        """Write the part over that version of it: whoever opens it sees the old one or the new one, whole.

        False if it is another one meanwhile, or none: then nothing is written. In an object store a reader that is in
        the middle of the old one may have to open it again.
        """
        # Rows that were read from a part carry its old stamp in their schema.
        return self._objects.replace(part, encode_part(rows.replace_schema_metadata(), stamp), old)

    def read_stamp(self, part: str, size: int | None = None) -> Stamp:
        """The part's stamp, from its footer alone. Raises PartDamaged. `size` (from parts()) saves a request."""
        try:
            return self._read_stamp(part, size)
        except (PartDamaged, StoreFailed):
            # Where the part was replaced since its size was looked at, these were bytes from its middle, or beyond it.
            return self._read_stamp(part, None)

    def read_stamps(self, parts: Mapping[str, Listed]) -> Iterator[tuple[str, Stamp | None, bool]]:
        """The stamp of each part in order, None where it cannot be read back, and whether it is that of the version
        listed: else the part was replaced since. Some hundreds are asked for at a time."""

        def read(part: str) -> tuple[Bytes | bytes, str | None] | None:
            return self._objects.read_end(part, parts[part].size, TAIL, _footer_of)

        if self._objects.is_on_disk:  # 10 us each, which threads would make 100
            for part, listed in parts.items():
                yield part, *self._stamp_in(part, read(part), listed)
            return
        names = iter(parts)
        with ThreadPoolExecutor(NUM_IN_FLIGHT) as threads:
            waiting = deque((part, threads.submit(read, part)) for part in islice(names, NUM_IN_FLIGHT))
            while waiting:
                part, tail = waiting.popleft()
                found = tail.result()
                waiting.extend((later, threads.submit(read, later)) for later in islice(names, 1))
                yield part, *self._stamp_in(part, found, parts[part])

    def read(self, part: str) -> Part:
        """A part with all its rows, every page checked against its checksum. Raises PartDamaged."""
        where = f"{self.url}/{part}"
        try:
            content, version = self._objects.read(part)
        except GONE as error:
            raise PartDamaged(f"{where} is not there") from error
        data = pa.py_buffer(content)
        return Part(stamp=decode_stamp(memoryview(data), where), rows=decode_rows(data, where), version=version)

    def put_table(self, name: str, rows: pa.Table, note: Mapping[str, object], plain: Sequence[str]) -> None:
        """Write a table and a note over what is there; texts of the columns in `plain` are all different."""
        self._objects.put(name, encode_part(rows, note, plain))

    def read_table(self, name: str, schema: pa.Schema, at_most: int) -> tuple[pa.Table, object] | None:
        """The table and its note, None where there is none. Raises PartDamaged where it cannot be read back, is of
        another schema, or of more bytes than `at_most`, as it stands there or in memory."""
        where = f"{self.url}/{name}"
        try:
            content, _ = self._objects.read(name, at_most)
        except GONE:
            return None
        except ValueError as error:
            raise PartDamaged(str(error)) from error
        return decode_table(pa.py_buffer(content), schema, at_most, where)

    def read_json(self, name: str) -> object | None:
        """The document, or None where there is none."""
        try:
            return json.loads(bytes(self._objects.read(name)[0]))
        except GONE:
            return None
        except (ValueError, RecursionError) as error:
            raise StoreFailed(
                f"{self.url}/{name} is not JSON: restore it from a backup or use another output"
            ) from error

    def create_json(self, name: str, value: object) -> bool:
        """Write the document unless it is there; False if it was."""
        return self._objects.create(name, _compact(value))

    def write_json(self, name: str, value: object, old: Version | None) -> Version | None:
        """Write the document where there is none, or over the `old` version of it: the version that it now is.

        None, and nothing is written, if there is another one meanwhile; an empty version if it was written over since.
        """
        data = _compact(value)
        if not (self._objects.create(name, data) if old is None else self._objects.replace(name, data, old)):
            return None
        try:
            content, version = self._objects.read(name)
        except GONE:
            return {}
        return version if memoryview(content) == memoryview(data) else {}

    def put_json(self, name: str, value: object) -> None:
        """Write the document over what is there."""
        self._objects.put(name, json.dumps(value, sort_keys=True).encode())

    def put_bytes(self, name: str, data: bytes) -> None:
        """Write them over what is there."""
        self._objects.put(name, data)

    def read_bytes(self, name: str) -> bytes | None:
        """All bytes of a name, or None where there is none."""
        try:
            return bytes(self._objects.read(name)[0])
        except GONE:
            return None

    def version(self, name: str) -> Version | None:
        """What is there under that name now, or None."""
        return self._objects.version(name)

    def delete(self, name: str) -> None:
        """Remove the name, if it is there, whatever is there: no object store can be given a condition for it."""
        self._objects.delete(name)

    def _stamp_in(
        self, part: str, tail: tuple[Bytes | bytes, str | None] | None, listed: Listed
    ) -> tuple[Stamp | None, bool]:
        if tail is not None:
            content, e_tag = tail
            try:
                return decode_stamp(memoryview(content), part), bool(e_tag) and e_tag == listed.e_tag
            except PartDamaged:
                pass  # or it was replaced since it was listed, and these are bytes from its middle
        try:
            return self._read_stamp(part, None), False
        except PartDamaged:
            return None, False

    def _read_stamp(self, part: str, size: int | None) -> Stamp:
        try:
            size = self._objects.size(part) if size is None else size
            tail = self._objects.read_tail(part, size, TAIL)
            if len(tail) < footer_size(tail) <= size:
                tail = self._objects.read_tail(part, size, footer_size(tail))
        except GONE as error:
            raise PartDamaged(f"{self.url}/{part} is not there") from error
        return decode_stamp(tail, f"{self.url}/{part}")
