"""The members of a tar archive and where they lie. Nothing is ever extracted to a disk.

Python's tarfile ends silently at a damaged header and at the first end mark; here both are errors. Knows nothing of
samples and columns.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator

from relabel.data.sources import files

_END = bytes(tarfile.BLOCKSIZE)


class Tar:
    """The bytes of an archive. Never reads past its end, whatever size a header claims."""

    def __init__(self, stream: io.BufferedReader, size: int) -> None:
        self._stream, self.size = stream, size

    def tell(self) -> int:
        return self._stream.tell()

    def seek(self, offset: int) -> int:
        return self._stream.seek(min(offset, self.size))

    def read(self, num_bytes: int) -> bytes:
        return self._stream.read(max(0, min(num_bytes, self.size - self.tell())))

    def body(self, member: tarfile.TarInfo) -> bytes:
        self.seek(member.offset_data)
        body = self.read(member.size)
        if len(body) < member.size:
            raise OSError("it ends inside a member")
        return body


def members(tar: Tar, offset: int) -> Iterator[tuple[int, tarfile.TarInfo]]:
    """Where each member begins, folders aside, and what it is; `isreg()` says whether it is a file."""
    tar.seek(0)
    archive, start = _archive(tar), offset
    while True:
        tar.seek(start)
        if (head := tar.read(tarfile.BLOCKSIZE)) == _END:
            _check_end(tar)
            return
        if len(head) < tarfile.BLOCKSIZE:
            raise OSError("it is cut short: it has no end mark")
        tar.seek(start)
        try:
            member = tarfile.TarInfo.fromtarfile(archive)
        except (tarfile.TarError, ValueError, OverflowError, RecursionError) as error:
            raise OSError(f"the header at byte {start} is damaged") from error
        if archive.offset <= start or member.size < 0:
            raise OSError(f"the header at byte {start} is damaged")
        if member.isreg() and not member.issparse() and member.offset_data + member.size > tar.size:
            raise OSError("it is cut short inside a member")
        if not member.isdir():
            yield start, member
        start = archive.offset


def _archive(tar: Tar) -> tarfile.TarFile:
    """Python's reader of headers; it looks at the first one by itself."""
    head = tar.read(1024)
    tar.seek(0)
    try:
        return tarfile.TarFile(fileobj=tar, errors="surrogateescape")  # pyright: ignore[reportArgumentType]
    except (tarfile.TarError, ValueError, OverflowError, RecursionError) as error:
        files.check_kind(head, "tar")
        raise OSError("it does not begin as a tar archive does") from error


def _check_end(tar: Tar) -> None:
    while block := tar.read(2**20):
        if block.strip(b"\0"):
            raise OSError("it goes on after its end mark, as when archives are joined; join them as archives")
