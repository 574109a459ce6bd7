"""Models in a bucket: the files of one folder of an object store, copied once to each node.

A model is known by the names, sizes and versions of its files, so that one whose files are replaced is another one.
Knows objects and their versions; nothing of what the files hold.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import partial
from pathlib import Path

import obstore
from obstore.exceptions import BaseError, PreconditionError

from relabel.errors import ArgumentRefused, ModelRefused
from relabel.storage.clouds import canonical, writable

NUM_TRIES = 3
"""Of one file, with 2 and 4 seconds between: a body that breaks off is none of the requests that obstore asks again."""
_NUM_COPIES = 8
"""Files copied side by side: one stream of S3 gives some 80 MB/s."""
_CHUNK_BYTES = 8 * 2**20

log = logging.getLogger("relabel")


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketModel:
    """The files of a model in a bucket, as they were listed."""

    url: str
    files: Mapping[str, tuple[int, str]]
    """Size in bytes and e-tag, by name."""

    @property
    def revision(self) -> str:
        """What tells this state of the folder from any other: 40 hexadecimal digits, like a commit's."""
        lines = sorted(f"{name}\0{size}\0{tag}\n" for name, (size, tag) in self.files.items())
        return hashlib.sha256("".join(lines).encode()).hexdigest()[:40]

    def matching(self, patterns: Iterable[str]) -> list[str]:
        """The names that match one of the patterns."""
        wanted = tuple(patterns)
        return [name for name in self.files if any(fnmatch(name, pattern) for pattern in wanted)]


def find_bucket_model(url: str, revision: str | None = None) -> BucketModel:
    """The files that lie in the folder now, or ModelRefused where these are not those of `revision`."""
    try:
        objects = obstore.list_with_delimiter(writable(canonical(url)))["objects"]
    except (BaseError, OSError, ValueError) as error:
        raise ModelRefused(f"the model {url} cannot be listed ({_kind(error)}); check the URL and the keys") from error
    files = {str(found["path"]).rpartition("/")[2]: (found["size"], found["e_tag"] or "") for found in objects}
    if not files:
        raise ArgumentRefused(f"there is no file in {url}; check ", "path", "")
    model = BucketModel(url=url, files=files)
    if revision is not None and revision != model.revision:
        raise ArgumentRefused(
            f"the files of {url} are not those of ",
            "revision",
            f" {revision}: they were replaced, and are those of {model.revision} now",
        )
    return model


def copy_files(model: BucketModel, names: Collection[str]) -> Path:
    """The folder on this machine that holds at least these files, whole. Processes that want the same wait in turn.

    Raises ModelRefused where they cannot be read or written.
    """
    folder = _cache() / model.revision
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder):
            missing = [name for name in names if not _is_there(folder / name, model.files[name][0])]
            if (num_bytes := sum(model.files[name][0] for name in missing)) > 2**30:
                log.info("copying %.1f GB of %s to %s", num_bytes / 1e9, model.url, folder)
            with ThreadPoolExecutor(_NUM_COPIES) as pool:
                list(pool.map(partial(_copy, model, folder), missing))
    except OSError as error:
        raise ModelRefused(
            f"{model.url} cannot be copied to {folder}: {error.strerror or error}; make room, or set XDG_CACHE_HOME "
            "to a folder that has it"
        ) from error
    return folder


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "relabel" / "models"


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Alone with the folder, among all processes of the machine; a process that is killed lets go of it."""
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _is_there(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _copy(model: BucketModel, folder: Path, name: str) -> None:
    """One file, under its name once it is whole."""
    for attempt in range(1, NUM_TRIES + 1):
        try:
            part = folder / f".{name}.part"
            _write(model, name, part)
        except PreconditionError as error:
            raise ModelRefused(f"{name} in {model.url} was replaced while it was copied; run again") from error
        except (BaseError, FileNotFoundError) as error:
            if attempt == NUM_TRIES:
                raise ModelRefused(f"{name} in {model.url} cannot be read ({_kind(error)}); run again") from error
            time.sleep(2.0**attempt)
            continue
        if part.stat().st_size == model.files[name][0]:
            part.replace(folder / name)
            return
    raise ModelRefused(f"{name} in {model.url} is not as long as its bucket says; put it there again")


def _write(model: BucketModel, name: str, part: Path) -> None:
    tag = model.files[name][1]
    found = obstore.get(writable(canonical(model.url)), name, options={"if_match": tag} if tag else {})
    with part.open("wb") as file:
        for chunk in found.stream(min_chunk_size=_CHUNK_BYTES):
            file.write(chunk)


def _kind(error: Exception) -> str:
    return type(error).__name__.removesuffix("Error")
