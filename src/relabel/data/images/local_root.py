"""An image root on a disk: only regular files whose real place is under it; no link out of it, no pipe, no device.

What is wrong with one file costs its row, what is wrong with the disk or the folder costs the unit.
"""

from __future__ import annotations

import errno
import os
import stat

from relabel.data.images.reference import LEAVES, MISSING, path_of
from relabel.errors import RowRejected, SourceUnreadable
from relabel.rejected import Code

_NOT_THERE = {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL, errno.EISDIR, errno.EILSEQ}
_REFUSED = {errno.EACCES, errno.EPERM}


class LocalRoot:
    """Reads images by their paths, relative to the folder or absolute."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def read(self, reference: str, max_bytes: int) -> bytes:
        """Raises RowRejected (image), and SourceUnreadable where the folder or its disk fails."""
        path = path_of(reference)
        if path.endswith("/"):
            raise RowRejected(Code.IMAGE, MISSING)
        try:
            base = os.path.realpath(self._folder)
            place = os.path.realpath(os.path.join(base, path))
            if os.path.commonpath([base, place]) != base:
                raise RowRejected(Code.IMAGE, LEAVES)
            return self._bytes(place, max_bytes)
        except ValueError as error:  # a name that cannot be encoded
            raise RowRejected(Code.IMAGE, MISSING) from error
        except OSError as error:
            if not os.path.isdir(self._folder):
                why = "it is no folder on this machine"
            elif error.errno in _NOT_THERE:
                raise RowRejected(Code.IMAGE, MISSING) from error
            elif error.errno in _REFUSED:
                raise RowRejected(Code.IMAGE, "not allowed to be read") from error
            else:
                why = error.strerror or type(error).__name__
            raise SourceUnreadable(f"the image root {self._folder} cannot be read: {why}") from error

    def check(self) -> None:
        """A disk says at each file whether it is the file or the disk."""

    @staticmethod
    def _bytes(place: str, max_bytes: int) -> bytes:
        found = os.stat(place)
        if not stat.S_ISREG(found.st_mode):
            raise RowRejected(Code.IMAGE, MISSING)
        if found.st_size > max_bytes:
            raise RowRejected(Code.IMAGE, f"{found.st_size} bytes is over the limit of {max_bytes}")
        with open(place, "rb") as handle:
            return handle.read(max_bytes + 1)
