"""Bytes by name in one folder, on a disk or in an object store, each name there whole or not at all.

Whoever creates a name first wins, and a name is replaced only by who has read it as it is. On S3, GCS and Azure those
are one conditional PUT; on a disk see `disk`. (obstore's own LocalStore syncs nothing, and after a kill -9 leaves
`<part>.parquet#1` beside the parts, where it breaks every reader of the folder.) Must never know what the bytes mean.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    NotFoundError,  # pyright: ignore[reportDeprecated]
    PreconditionError,
)
from obstore.store import LocalStore

from relabel.data.store.disk import Disk
from relabel.data.store.failpoints import Failpoint, OnFailpoint
from relabel.errors import Refused, StoreFailed
from relabel.storage.clouds import writable

if TYPE_CHECKING:
    from obstore import Bytes, UpdateVersion

GONE = (FileNotFoundError, NotFoundError)  # pyright: ignore[reportDeprecated]
"""What reading a name raises where there is none: the one of newer obstores, the other of older ones."""

Version = Mapping[str, str]
"""What the store has to tell the bytes of a name from those that were or will be there: `e_tag`, `version`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """What a listing says of one name."""

    size: int
    """Bytes."""
    e_tag: str
    """Empty where the store lists none. On a disk it is made of inode, time and size."""
    modified: int
    """Microseconds since 1970."""


class Objects:
    """A folder, by local path or by s3://, gs:// or az:// URL."""

    def __init__(self, url: str, *, create: bool, on_failpoint: OnFailpoint) -> None:
        """Raises Refused if the folder cannot be reached; without `create`, also if a local folder is not there yet."""
        self._on_failpoint = on_failpoint
        scheme, separator, rest = url.partition("://")
        if not separator or scheme == "file":
            root = Path(rest if separator else url).expanduser().absolute()
            self.url, self._disk = str(root), Disk(root, on_failpoint)
        else:
            root, self.url, self._disk = None, url.rstrip("/"), None
        try:
            self._objects = _local(root, create) if root else writable(self.url)
        except (BaseError, OSError, ValueError) as error:
            raise Refused(f"the output {self.url} cannot be reached: {_cause(error)}") from error

    @property
    def is_on_disk(self) -> bool:
        return self._disk is not None

    def listed(self, folder: str | None = None) -> dict[str, Listed]:
        """Every name, or those below a folder."""
        with self._doing("list", folder or ""):
            batches = obstore.list(self._objects, folder, chunk_size=1000)  # pyright: ignore[reportUnknownMemberType]
            return {meta["path"]: _listed(meta) for batch in batches for meta in batch}

    def listed_directly(self) -> dict[str, Listed]:
        """Every name that is in no folder of this one, without a look into these."""
        with self._doing("list", ""):
            found = obstore.list_with_delimiter(self._objects)  # pyright: ignore[reportUnknownMemberType]
            return {meta["path"]: _listed(meta) for meta in found["objects"]}

    def create(self, name: str, data: bytes) -> bool:
        """Write a new name; False, and nothing is written, where it is taken."""
        with self._doing("write", name):
            if self._disk:
                return self._disk.create(name, data)
            self._on_failpoint(Failpoint.SENDING, name)
            try:
                obstore.put(self._objects, name, data, mode="create")
            except AlreadyExistsError:
                return False
            self._on_failpoint(Failpoint.DONE, name)
            return True

    def replace(self, name: str, data: bytes, old: Version) -> bool:
        """Write over that version of a name; False, and nothing is written, where it is another meanwhile or gone."""
        with self._doing("write", name):
            if self._disk:
                return self._disk.replace(name, data, lambda: self.version(name) == old)
            self._on_failpoint(Failpoint.SENDING, name)
            try:
                obstore.put(self._objects, name, data, mode=cast("UpdateVersion", dict(old)))
            except (PreconditionError, *GONE):
                return False
            self._on_failpoint(Failpoint.DONE, name)
            return True

    def put(self, name: str, data: bytes) -> None:
        """Write over whatever is there."""
        with self._doing("write", name):
            if self._disk:
                self._disk.replace(name, data)
                return
            self._on_failpoint(Failpoint.SENDING, name)
            obstore.put(self._objects, name, data)
            self._on_failpoint(Failpoint.DONE, name)

    def read(self, name: str, at_most: int | None = None) -> tuple[Bytes, Version]:
        """All bytes of a name, and which version they are. Raises one of GONE where there is none, ValueError where
        it has more than `at_most`."""
        with self._doing("read", name, passing=GONE):
            got = obstore.get(self._objects, name)
            if at_most is not None and got.meta["size"] > at_most:
                raise ValueError(f"{self.url}/{name} has {got.meta['size']} bytes, more than {at_most}")
            return got.bytes(), _version(got.meta)

    def read_tail(self, name: str, size: int, length: int) -> bytes:
        """The last bytes of a name of that size. Raises one of GONE where there is none."""
        if not size:
            return b""
        with self._doing("read", name, passing=GONE):
            return bytes(obstore.get_range(self._objects, name, start=max(size - length, 0), end=size))

    def read_end(
        self, name: str, size: int, length: int, needed: Callable[[Bytes | bytes], int]
    ) -> tuple[Bytes | bytes, str | None] | None:
        """The last bytes of a name of that size, and the e-tag of what they are from.

        So many as `length`, or as they say that are `needed`. None where that fails, for whatever reason.
        """

        def read(length: int) -> tuple[Bytes | bytes, str | None]:
            if self._disk:
                return self._disk.read_end(name, length)
            got = obstore.get(self._objects, name, options={"range": (max(size - length, 0), size)})
            return got.bytes(), got.meta["e_tag"]

        try:
            tail, e_tag = read(length)
            return read(needed(tail)) if len(tail) < needed(tail) <= size else (tail, e_tag)
        except (BaseError, OSError):
            return None

    def size(self, name: str) -> int:
        """The number of bytes of a name. Raises one of GONE where there is none."""
        with self._doing("read", name, passing=GONE):
            return obstore.head(self._objects, name)["size"]

    def version(self, name: str) -> Version | None:
        """What is there under that name now, or None."""
        with self._doing("read", name), suppress(*GONE):
            return _version(obstore.head(self._objects, name))
        return None

    def delete(self, name: str) -> None:
        """Remove the name, if it is there, whatever is there: no object store can be given a condition for it."""
        with self._doing("delete", name):
            self._on_failpoint(Failpoint.DELETING, name)
            with suppress(*GONE):
                obstore.delete(self._objects, name)
            self._on_failpoint(Failpoint.DELETED, name)

    @contextmanager
    def _doing(self, verb: str, name: str, passing: tuple[type[Exception], ...] = ()) -> Generator[None]:
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


def _listed(meta: obstore.ObjectMeta) -> Listed:
    return Listed(
        size=meta["size"], e_tag=meta["e_tag"] or "", modified=round(meta["last_modified"].timestamp() * 10**6)
    )


def _version(meta: obstore.ObjectMeta) -> Version:
    return {name: known for name, known in (("e_tag", meta["e_tag"]), ("version", meta["version"])) if known}


def _cause(error: BaseException) -> str:
    """The first line of what went wrong, without the query of a URL, which may be signed."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return re.sub(r"\?\S*", "", lines[0])[:300]
