"""The moments at which the store is about to change what is kept, or has just done so, by name.

A process may die at any of them, or the next call may fail: whoever listens may do either there.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from enum import StrEnum


class Failpoint(StrEnum):
    """On a disk all of them are passed, in an object store `SENDING` to `DONE` and `DELETING` to `DELETED`."""

    SENDING = "sending"
    """Nothing is there yet."""
    STAGED = "staged"
    """The bytes are in a hidden file, not yet synced."""
    SYNCED = "synced"
    """They are on the disk; the name is not there yet, or still that of the old bytes."""
    NAMED = "named"
    """The name is there; its folder is not yet synced, and the hidden file may be there too."""
    DONE = "done"
    """All is over, and nobody was told."""
    DELETING = "deleting"
    DELETED = "deleted"


OnFailpoint = Callable[[Failpoint, str], None]
"""Told of each failpoint, with the name in the output that it is about."""


_LISTENERS: list[OnFailpoint] = []


def pass_by(failpoint: Failpoint, name: str) -> None:
    """Tell whoever listens to every store of this process: nobody, but where a test looks at whole runs."""
    for on_failpoint in _LISTENERS:
        on_failpoint(failpoint, name)


@contextmanager
def listening(on_failpoint: OnFailpoint) -> Generator[None]:
    """Hear of the failpoints of every store of this process that has no listener of its own."""
    _LISTENERS.append(on_failpoint)
    try:
        yield
    finally:
        _LISTENERS.remove(on_failpoint)
