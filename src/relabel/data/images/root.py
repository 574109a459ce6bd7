"""Where the images are that rows name by paths: one contract for disks, object stores, web servers, and the rest."""

from __future__ import annotations

from functools import partial
from typing import Protocol

from relabel.data.images.filesystem_root import FileSystemRoot
from relabel.data.images.local_root import LocalRoot
from relabel.data.images.object_root import ObjectRoot
from relabel.data.sources.files import absolute
from relabel.storage.clouds import SCHEMES, objects


class Root(Protocol):
    """A folder of images, from the spec."""

    def read(self, reference: str, max_bytes: int) -> bytes:
        """The file that a row names, of which more than `max_bytes` need not be read.

        Raises RowRejected (image) where it is the file that fails, SourceUnreadable where it is the root.
        """
        ...

    def check(self) -> None:
        """Asked after the rows of a unit. Raises SourceUnreadable where their refusals were the root's fault."""
        ...


def open_root(url: str) -> Root:
    """The root at a local folder or a URL. Nothing is asked of it before the first image."""
    url = absolute(url)
    scheme, mark, _ = url.partition("://")
    if not mark:
        return LocalRoot(url)
    return ObjectRoot(url, partial(objects, url)) if scheme in SCHEMES else FileSystemRoot(url)
