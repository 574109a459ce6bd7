"""How far an export of several files has come: a hidden document beside them, written after each.

Knows names and counts; nothing of what is in the files.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter

from relabel.data.store.fault import first_fault
from relabel.data.store.store import Store
from relabel.errors import Refused, StoreFailed

SUFFIX = ".tar"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """A file that is there whole."""

    name: str
    size: int
    """Bytes."""
    counts: dict[str, int]
    """Rows by status, and what else is counted of them."""
    digest: str = ""
    """Of its bytes, where they are read again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Document:
    what: str
    """Of which rows of which output, with which options."""
    shards: list[Shard] = field(default_factory=list)
    next: tuple[int, int] | None = (0, 0)
    """The unit and the row in it with which the next file begins; None where all are there."""
    missing: int = 0
    """Units without rows among those before."""


_DOCUMENT = TypeAdapter(_Document)


class Progress:
    """The files `NAME-000000.tar`, `NAME-000001.tar`, ... of an export to `NAME.tar`."""

    def __init__(self, target: str, what: str, suffix: str = SUFFIX) -> None:
        """`suffix`: that of the target and of the files.

        Files of the same export to the same target stay, if all that are noted are there as long as they were. Else
        all with names of such files are deleted, also those that no document names: a kill comes between a file and
        its note.

        Raises Refused where the folder cannot be reached, or the document there is another.
        """
        folder, _, name = target.rpartition("/")
        self._stem, self._suffix = name.removesuffix(suffix), suffix
        self._store = Store(folder or ("/" if target.startswith("/") else str(Path.cwd())))
        try:
            found = self._store.read_json(self._name)
            known = None if found is None else _DOCUMENT.validate_python(found)
        except ValueError as error:
            raise Refused(f"{self.url(self._name)} is not what this version writes: {first_fault(error)}") from error
        listed = self._store.files()
        is_whole = known is not None and all(
            shard.name in listed and listed[shard.name].size == shard.size for shard in known.shards
        )
        self._now = known if known is not None and known.what == what and is_whole else self._begin(what, listed, known)
        self._missing_before = self._now.missing

    def _begin(self, what: str, listed: Iterable[str], known: _Document | None) -> _Document:
        is_ours = re.compile(rf"{re.escape(self._stem)}-\d{{6}}{re.escape(self._suffix)}", re.ASCII).fullmatch
        if known is not None:  # first: no document names files that are gone
            self._store.delete(self._name)
        for name in filter(is_ours, listed):
            self._store.delete(name)
        return _Document(what=what)

    @property
    def next(self) -> tuple[int, int]:
        """With which unit and row of it the next file begins."""
        return self._now.next or (0, 0)

    @property
    def is_complete(self) -> bool:
        return self._now.next is None

    @property
    def next_name(self) -> str:
        return f"{self._stem}-{len(self._now.shards):06d}{self._suffix}"

    @property
    def num_files(self) -> int:
        return len(self._now.shards)

    @property
    def counts(self) -> Counter[str]:
        """Of all files together, and `missing` units."""
        total = Counter({"missing": self._now.missing})
        for shard in self._now.shards:
            total.update(shard.counts)
        return total

    def add(self, shard: Shard, next: tuple[int, int] | None, missing: int) -> None:
        """That a file is there, with which unit and row the one after it begins, and how many units without rows were
        passed since this export, or this call of it, began."""
        self._save(shards=[*self._now.shards, shard], next=next, missing=self._missing_before + missing)

    def put(self, data: bytes, counts: Counter[str], next: tuple[int, int], missing: int) -> None:
        """Write the next file, and that it is there: see `add`."""
        name, digest = self.next_name, hashlib.sha256(data).hexdigest()
        self._store.put_bytes(name, data)
        self.add(Shard(name=name, size=len(data), counts=dict(counts), digest=digest), next, missing)

    def files(self) -> Iterator[bytes]:
        """What `put` wrote, one after the other.

        Raises StoreFailed where one is another now, and deletes all: the next call begins anew.
        """
        for shard in self._now.shards:
            data = self._store.read_bytes(shard.name)
            if data is None or hashlib.sha256(data).hexdigest() != shard.digest:
                self.remove()
                raise StoreFailed(
                    f"{self.url(shard.name)} is damaged, or someone exports to the same file; the next call begins anew"
                )
            yield data

    def remove(self) -> None:
        """Delete all that is there, the note first: no document names files that are gone."""
        self._store.delete(self._name)
        for shard in self._now.shards:
            self._store.delete(shard.name)

    def finish(self, missing: int) -> None:
        """That all are there."""
        self._save(shards=self._now.shards, next=None, missing=self._missing_before + missing)

    def _save(self, *, shards: list[Shard], next: tuple[int, int] | None, missing: int) -> None:
        self._now = _Document(what=self._now.what, shards=shards, next=next, missing=missing)
        self._store.put_json(self._name, _DOCUMENT.dump_python(self._now, mode="json"))

    @property
    def _name(self) -> str:
        return f"_{self._stem}.json"

    def url(self, name: str) -> str:
        return f"{self._store.url}/{name}"
