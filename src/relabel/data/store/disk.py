"""Names in a folder of this machine that are there whole or not at all, whenever a process is killed.

A new name is a hard link to a file that was written and synced in `_staging/`; what replaces another is renamed from
there. Knows bytes, not what they mean.
"""

from __future__ import annotations

import fcntl
import os
import time
import uuid
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from relabel.data.store.failpoints import Failpoint, OnFailpoint

_STAGING = "_staging"
_LOCK = "lock"
"""Held by the one process that compares and replaces; the kernel lets go of it when the process ends."""
LOCK_SECONDS = 60.0
"""It is held for milliseconds, unless the process that holds it was stopped."""


class Disk:
    """A folder."""

    def __init__(self, root: Path, on_failpoint: OnFailpoint, *, lock_seconds: float = LOCK_SECONDS) -> None:
        self._root, self._on_failpoint, self._lock_seconds = root, on_failpoint, lock_seconds

    def create(self, name: str, data: bytes) -> bool:
        """False if the name is taken."""
        with self._staged(name, data) as (staged, target):
            try:
                os.link(staged, target)
            except FileExistsError:
                return False
            self._on_failpoint(Failpoint.NAMED, name)
        _sync(target.parent)
        self._on_failpoint(Failpoint.DONE, name)
        return True

    def read_end(self, name: str, length: int) -> tuple[bytes, str]:
        """The last bytes of a file, and which version of it they are of, in the words of obstore's listing of a disk:
        inode, microseconds and size. By obstore each read takes 70 us, and this 10."""
        handle = os.open(f"{self._root}/{name}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            found = os.fstat(handle)
            tail = os.pread(handle, length, max(found.st_size - length, 0))
        finally:
            os.close(handle)
        return tail, f'"{found.st_ino:x}-{found.st_mtime_ns // 1000:x}-{found.st_size:x}"'

    def replace(self, name: str, data: bytes, is_old: Callable[[], bool] | None = None) -> bool:
        """Write over what is there. False, and nothing is written, where it is not what `is_old` asks for."""
        alone = nullcontext() if is_old is None else self._locked()
        with self._staged(name, data) as (staged, target), alone:
            if is_old is not None and not is_old():
                return False
            os.replace(staged, target)
            self._on_failpoint(Failpoint.NAMED, name)
        _sync(target.parent)
        self._on_failpoint(Failpoint.DONE, name)
        return True

    @contextmanager
    def _locked(self) -> Generator[None]:
        """Nobody else compares and replaces."""
        deadline = time.monotonic() + self._lock_seconds
        with open(self._root / _STAGING / _LOCK, "w") as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise TimeoutError(
                            f"another process has held {_STAGING}/{_LOCK} for {self._lock_seconds:g} seconds"
                        ) from None
                    time.sleep(0.01)
            yield

    @contextmanager
    def _staged(self, name: str, data: bytes) -> Generator[tuple[Path, Path]]:
        """The bytes, written and synced under a name that no reader sees and that goes with the block; the target."""
        staged, target = self._root / _STAGING / uuid.uuid4().hex, self._root / name
        self._on_failpoint(Failpoint.SENDING, name)
        for folder in (staged.parent, target.parent):
            folder.mkdir(parents=True, exist_ok=True)
        try:
            with open(staged, "xb") as file:
                file.write(data)
                file.flush()
                self._on_failpoint(Failpoint.STAGED, name)
                os.fsync(file.fileno())
            self._on_failpoint(Failpoint.SYNCED, name)
            yield staged, target
        finally:
            staged.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
