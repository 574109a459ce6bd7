"""Where an export goes: one file, local or in an object store, that is there whole or not at all.

Knows bytes that come one after the other, however many; nothing of what they mean.
"""

from __future__ import annotations

import io
import os
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import obstore
from obstore.exceptions import BaseError

from relabel.errors import Refused, StoreFailed
from relabel.storage.clouds import writable


@contextmanager
def whole(target: str) -> Generator[BinaryIO]:
    """A file to write to, forward only. It is at `target`, in place of what was there, when the block ends well.

    Else nothing is. Raises Refused for a URL that nothing can be written to, StoreFailed where writing fails.
    """
    scheme, mark, rest = target.partition("://")
    opened = _in_store(target) if mark and scheme != "file" else _on_disk(Path(rest if mark else target).expanduser())
    try:
        with opened as file:
            yield file
    except (OSError, BaseError) as error:
        why = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        raise StoreFailed(f"cannot write {target}: {why}") from error


@contextmanager
def _on_disk(path: Path) -> Generator[BinaryIO]:
    staged = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with open(staged, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(staged, path)
    finally:
        staged.unlink(missing_ok=True)


@contextmanager
def _in_store(url: str) -> Generator[BinaryIO]:
    """An upload in pieces, which the store shows no part of before it is closed."""
    folder, _, name = url.rpartition("/")
    try:
        store = writable(folder)
    except (BaseError, OSError, ValueError) as error:
        raise Refused(f"{url} cannot be written to: {error}") from error
    upload = obstore.open_writer(store, name)
    with io.BufferedWriter(_Pieces(upload), 2**20) as file:  # whose close does not close the upload
        yield file
    upload.close()


class _Pieces(io.RawIOBase):
    """The upload as Python's files are, which pyarrow and tarfile write to."""

    def __init__(self, upload: obstore.WritableFile) -> None:
        self._upload = upload
        self._num_bytes = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._num_bytes

    def write(self, data: object, /) -> int:
        written = self._upload.write(bytes(cast(bytes, data)))  # obstore copies no other buffers
        self._num_bytes += written
        return written
