"""Streams that a process keeps open, so that the next unit of a file goes on where the last one stopped.

A gzip file or a large row group can only be read from its beginning: without this, the work for n units grows with n
squared. Knows positions only: nothing of formats, rows or units.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Hashable
from contextlib import contextmanager
from typing import Protocol, TypeVar

MAX_OPEN = 3


class Stream(Protocol):
    position: int
    """The row that is read next."""

    def close(self) -> None: ...


S = TypeVar("S", bound=Stream)

_lock = threading.Lock()
_open: list[tuple[Hashable, Stream]] = []


@contextmanager
def borrowed(key: Hashable, earliest: int, latest: int, open_new: Callable[[], S]) -> Generator[S]:
    """A stream of `key` whose position is between `earliest` and `latest`: one that was left open, or a new one.

    It is the caller's alone until the block ends; then it is kept for the next unit, or closed where the block failed.
    """
    stream = _take(key, earliest, latest) or open_new()
    try:
        yield stream  # pyright: ignore[reportReturnType]
    except BaseException:
        stream.close()
        raise
    with _lock:
        _open.append((key, stream))
        surplus = _open[:-MAX_OPEN]
        del _open[:-MAX_OPEN]
    for _, old in surplus:
        old.close()


def close_all() -> None:
    with _lock:
        surplus = _open.copy()
        _open.clear()
    for _, old in surplus:
        old.close()


def _take(key: Hashable, earliest: int, latest: int) -> Stream | None:
    with _lock:
        usable = [
            k for k, (owner, stream) in enumerate(_open) if owner == key and earliest <= stream.position <= latest
        ]
        if not usable:
            return None
        return _open.pop(max(usable, key=lambda k: _open[k][1].position))[1]
