"""The output folder: parts and small JSON documents, each there whole or not at all, on disk or in an object store.

Knows names and bytes, never which parts there should be, or what their rows mean. Whoever creates a name first
wins, and a part is replaced only by who has read it as it is: in an object store one conditional PUT, on a disk see
`disk` (obstore's LocalStore syncs nothing, and a kill -9 leaves `<part>.parquet#1`, which breaks its readers).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import obstore
import pyarrow as pa
from obstore.exceptions import AlreadyExistsError, BaseError, NotFoundError, PreconditionError
from obstore.store import AzureStore, GCSStore, LocalStore, S3Store
from pyarrow.fs import resolve_s3_region

from relabel.data.store.disk import Disk
from relabel.data.store.failpoints import Point, Reached, pass_by
from relabel.data.store.part import TAIL, decode_rows, decode_stamp, encode_part, footer_size
from relabel.data.store.stamp import Stamp
from relabel.errors import PartDamaged, Refused, StoreFailed

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

# A store that is busy (503 SlowDown) or restarts comes back within seconds; one that is gone should end the run. With
# obstore's base of 2 most requests are given up after 2 to 7 s, since a wait is drawn between `init_backoff` and `base`
# times the last one and hardly grows (docs.rs/object_store, BackoffConfig). Here 10 tries take some 12 to 25 s.
# `retry_timeout` is longer than `timeout`, so that a read that hangs that long is tried once more.
_RETRIES: RetryConfig = {
    "max_retries": 10,
    "backoff": {"init_backoff": timedelta(seconds=0.1), "base": 10, "max_backoff": timedelta(seconds=3)},
    "retry_timeout": timedelta(minutes=3),
}
_CLIENT: ClientConfig = {"timeout": "120s"}  # its 30 s are too short for a part with images on a slow line

_GONE = (FileNotFoundError, NotFoundError)

Version = Mapping[str, str]
"""What the store has to tell the bytes of a name from those that were or will be there: `e_tag`, `version`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part as it was read."""

    stamp: Stamp
    rows: pa.Table
    version: Version


class Store:
    """An output folder, by local path or by s3://, gs:// or az:// URL."""

    def __init__(self, url: str, *, create: bool = True, reached: Reached = pass_by) -> None:
        """Raises Refused if the folder cannot be reached; without `create`, also if a local folder is not there yet."""
        self._reached = reached
        scheme, separator, rest = url.partition("://")
        if not separator or scheme == "file":
            root = Path(rest if separator else url).expanduser().absolute()
            self.url, self._disk = str(root), Disk(root, reached)
        else:
            root, self.url, self._disk = None, url.rstrip("/"), None
        try:
            self._objects = _local(root, create) if root else _remote(self.url)
        except (BaseError, OSError, ValueError) as error:
            raise Refused(f"the output {self.url} cannot be reached: {_cause(error)}") from error

    def names(self) -> dict[str, int]:
        """Everything that readers of the folder see, with its size. Names beginning with `_` or `.` are hidden."""
        with self._doing("list", ""):
            found = {meta["path"]: meta["size"] for batch in obstore.list(self._objects) for meta in batch}
        return {name: size for name, size in sorted(found.items()) if not re.search(r"(^|/)[_.]", name)}

    def parts(self) -> dict[str, int]:
        """The visible parts and their sizes."""
        return {name: size for name, size in self.names().items() if name.endswith(".parquet")}

    def publish(self, part: str, rows: pa.Table, stamp: Mapping[str, Any], bad: Version | None = None) -> bool:
        """Write the part whole, unless it is there. False if another writer, or an earlier try of ours, was first.

        A version of it that is known to be `bad` is written over.
        """
        if bad is not None and self.replace(part, rows, stamp, bad):
            return True
        return self._create(part, encode_part(rows, stamp))

    def replace(self, part: str, rows: pa.Table, stamp: Mapping[str, Any], old: Version) -> bool:
        """Write the part over that version of it: whoever opens it sees the old one or the new one, whole.

        False if it is another one meanwhile, or none: then nothing is written. In an object store a reader that is in
        the middle of the old one may have to open it again.
        """
        # Rows that were read from a part carry its old stamp in their schema.
        data = encode_part(rows.replace_schema_metadata(), stamp)
        with self._doing("write", part):
            if self._disk:
                return self._disk.replace(part, data, lambda: self.version(part) == old)
            self._reached(Point.SENDING, part)
            try:
                obstore.put(self._objects, part, data, mode=cast("obstore.UpdateVersion", dict(old)))
            except (PreconditionError, *_GONE):
                return False
            self._reached(Point.DONE, part)
            return True

    def read_stamp(self, part: str, size: int | None = None) -> Stamp:
        """The part's stamp, from its footer alone. Raises PartDamaged. `size` (from parts()) saves a request."""
        try:
            return self._read_stamp(part, size)
        except (PartDamaged, StoreFailed):
            # Where the part was replaced since its size was looked at, these were bytes from its middle, or beyond it.
            return self._read_stamp(part, None)

    def read(self, part: str) -> Part:
        """A part with all its rows, every page checked against its checksum. Raises PartDamaged."""
        where = f"{self.url}/{part}"
        try:
            with self._doing("read", part, passing=_GONE):
                got = obstore.get(self._objects, part)
                data, version = pa.py_buffer(got.bytes()), _version(got.meta)
        except _GONE as error:
            raise PartDamaged(f"{where} is not there") from error
        return Part(stamp=decode_stamp(memoryview(data), where), rows=decode_rows(data, where), version=version)

    def read_json(self, name: str) -> Any | None:
        """The document, or None where there is none."""
        try:
            with self._doing("read", name, passing=_GONE):
                return json.loads(bytes(obstore.get(self._objects, name).bytes()))
        except _GONE:
            return None
        except ValueError as error:
            raise StoreFailed(
                f"{self.url}/{name} is not JSON: restore it from a backup or use another output"
            ) from error

    def create_json(self, name: str, value: Any) -> bool:
        """Write the document unless it is there; False if it was."""
        return self._create(name, json.dumps(value, sort_keys=True, separators=(",", ":")).encode())

    def put_json(self, name: str, value: Any) -> None:
        """Write the document over what is there."""
        data = json.dumps(value, sort_keys=True).encode()
        with self._doing("write", name):
            if self._disk:
                self._disk.replace(name, data)
                return
            self._reached(Point.SENDING, name)
            obstore.put(self._objects, name, data)
            self._reached(Point.DONE, name)

    def version(self, name: str) -> Version | None:
        """What is there under that name now, or None."""
        with self._doing("read", name), suppress(*_GONE):
            return _version(obstore.head(self._objects, name))
        return None

    def delete(self, name: str) -> None:
        """Remove the name, if it is there, whatever is there: no object store can be given a condition for it."""
        with self._doing("delete", name):
            self._reached(Point.DELETING, name)
            with suppress(*_GONE):
                obstore.delete(self._objects, name)
            self._reached(Point.DELETED, name)

    def _create(self, name: str, data: bytes) -> bool:
        with self._doing("write", name):
            if self._disk:
                return self._disk.create(name, data)
            self._reached(Point.SENDING, name)
            try:
                obstore.put(self._objects, name, data, mode="create")
            except AlreadyExistsError:
                return False
            self._reached(Point.DONE, name)
            return True

    def _read_stamp(self, part: str, size: int | None) -> Stamp:
        try:
            with self._doing("read", part, passing=_GONE):
                size = obstore.head(self._objects, part)["size"] if size is None else size
                tail = self._tail(part, size, TAIL)
                if len(tail) < footer_size(tail) <= size:
                    tail = self._tail(part, size, footer_size(tail))
        except _GONE as error:
            raise PartDamaged(f"{self.url}/{part} is not there") from error
        return decode_stamp(tail, f"{self.url}/{part}")

    def _tail(self, part: str, size: int, length: int) -> bytes:
        return bytes(obstore.get_range(self._objects, part, start=max(size - length, 0), end=size)) if size else b""

    @contextmanager
    def _doing(self, verb: str, name: str, passing: tuple[type[Exception], ...] = ()) -> Iterator[None]:
        try:
            yield
        except passing:
            raise
        except (BaseError, OSError) as error:
            raise StoreFailed(f"cannot {verb} {self.url}/{name}: {_cause(error)}") from error


def _local(root: Path, create: bool) -> LocalStore:
    if create:
        root.mkdir(parents=True, exist_ok=True)
    elif not root.is_dir():
        raise FileNotFoundError("there is no such folder")
    return LocalStore(root)


def _remote(url: str) -> S3Store | GCSStore | AzureStore:
    # Not obstore's from_url: it takes `#` and `?` in a folder's name for the end of the path.
    scheme, _, path = url.partition("://")
    bucket, _, prefix = path.partition("/")
    if scheme not in ("s3", "gs", "az") or not bucket:
        raise ValueError(
            "an output is a local folder, or s3://BUCKET/FOLDER, gs://BUCKET/FOLDER or az://CONTAINER/FOLDER"
        )
    if scheme == "gs":
        return GCSStore(bucket, prefix=prefix or None, client_options=_CLIENT, retry_config=_RETRIES)
    if scheme == "az":
        return AzureStore(bucket, prefix=prefix or None, client_options=_CLIENT, retry_config=_RETRIES)
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    plain = urlsplit(endpoint or "").scheme == "http"
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if not region and not endpoint:  # obstore would take us-east-1 for granted
        region = resolve_s3_region(bucket)
    options: dict[str, Any] = {"region": region} if region else {}
    client: ClientConfig = {**_CLIENT, "allow_http": plain}
    return S3Store(bucket, prefix=prefix or None, client_options=client, retry_config=_RETRIES, **options)


def _version(meta: obstore.ObjectMeta) -> Version:
    return {name: known for name, known in (("e_tag", meta["e_tag"]), ("version", meta["version"])) if known}


def _cause(error: BaseException) -> str:
    """The first line of what went wrong, without the query of a URL, which may be signed."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return re.sub(r"\?\S*", "", lines[0])[:300]
