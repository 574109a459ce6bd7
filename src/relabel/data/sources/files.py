"""Where source files are and how they are opened: local paths, s3://, gs://, hf:// and any other fsspec URL.

Knows nothing of formats (their suffixes are told to it) and never writes.
"""

# pyarrow has no types, so that nothing that comes from it has one.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false, reportUnknownLambdaType=false
from __future__ import annotations

import functools
import io
import os
import re
import urllib.parse
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import fsspec.core
import pyarrow as pa
import pyarrow.fs as pafs

from relabel.data.sources.unit import SourceFile
from relabel.errors import SourceRefused, SourceUnreadable
from relabel.storage.clouds import readable

MAX_ROW_BYTES = 64 * 2**20
"""A longer line of text is no row of a dataset: it is rejected before it is parsed."""

MAX_IMAGE_BYTES = 256 * 2**20
"""An image file above this is not even read; the spec's own limit is applied to what was read."""

_BUFFER_BYTES = 2**20
_COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
_KINDS = tuple(
    (kind, re.compile(beginning, re.DOTALL | re.IGNORECASE), what)
    for kind, beginning, what in (
        (
            "pointer",
            rb"version https://git-lfs\.",
            "it is a pointer of Git LFS and not the file itself: run git lfs pull",
        ),
        ("gzip", rb"\x1f\x8b", "it is compressed by gzip: {0}"),
        ("zstd", rb"\x28\xb5\x2f\xfd", "it is compressed by zstd: {0}"),
        ("archive", rb"PK\x03\x04|BZh[1-9]1AY|\xfd7zXZ\0", "it is compressed by zip, bzip2 or xz: unpack it"),
        ("parquet", rb"PAR1", "it is a Parquet file: set source.format to parquet, and name it .parquet"),
        (
            "arrow",
            rb"ARROW1|\xff{4}.{2}\0\0\x10\0\0\0",
            "it is an Arrow file, as datasets keeps them: write it as Parquet",
        ),
        ("page", rb"[\s\xef\xbb\xbf]*<(!doctype html|html)\b", "it is a web page: a download went wrong"),
        ("database", rb"SQLite format 3\0", "it is an SQLite database: write a table of it as Parquet"),
    )
)
"""Kinds of files, how each begins, and what to say where another kind is read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One file that was found."""

    url: str
    size: int
    version: str


def absolute(path: str) -> str:
    """The path as every machine understands it: with its scheme, or from the root; without a slash at its end."""
    scheme, mark, rest = path.partition("://")
    if mark and scheme != "file":
        return f"{scheme}://{rest.strip('/')}"
    return os.path.abspath(os.path.expanduser(urllib.parse.unquote(rest) if mark else path))


def relative(url: str, root: str) -> str | None:
    """The path of `url` below `root`, "" for the root itself, or None where it is not below it."""
    if url == root:
        return ""
    prefix = root.rstrip("/") + "/"
    return url[len(prefix) :] if url.startswith(prefix) else None


def is_hidden(path: str) -> bool:
    return any(name.startswith(("_", ".")) for name in path.split("/"))


def list_folder(url: str) -> list[Entry]:
    """The files that lie directly in a folder, by name."""
    filesystem, path = locate(url)
    infos: dict[str, pafs.FileInfo] = {}
    for info in filesystem.get_file_info(pafs.FileSelector(path, allow_not_found=True)):
        with suppress(UnicodeDecodeError):  # a name that is not UTF-8, which planning told of
            if info.type == pafs.FileType.File:
                infos[info.base_name] = info
    return [entry_of(filesystem, infos[name], f"{url.rstrip('/')}/{name}") for name in sorted(infos)]


def entry_of(filesystem: pafs.FileSystem, info: pafs.FileInfo, url: str) -> Entry:
    """What is known of a file that a filesystem lists."""
    return Entry(url=url, size=info.size or 0, version=_version(filesystem, info))


def locate(url: str) -> tuple[pafs.FileSystem, str]:
    """The filesystem of an absolute url, and the path within it."""
    if "://" not in url:
        return pafs.LocalFileSystem(), url
    scheme, _, rest = url.partition("://")
    host, _, path = rest.partition("/")
    try:
        filesystem, base = _connect(scheme, host)
    except ImportError as error:
        raise SourceRefused(f"{url}: a package for {scheme}:// is not installed: {sentence(error)}") from error
    except (OSError, ValueError, TypeError, pa.ArrowException) as error:
        raise SourceRefused(f"{url}: cannot be reached: {sentence(error)}") from error
    return filesystem, f"{base.rstrip('/')}/{path}" if path else base


def open_file(url: str) -> pa.NativeFile:
    """Open for reading at any place."""
    filesystem, path = locate(url)
    return filesystem.open_input_file(path)


def open_stream(file: SourceFile) -> io.BufferedReader:
    """Open for reading forward, decompressed where the suffix says so; a plain file can also seek."""
    compression = compression_of(file)
    if compression is None:
        return io.BufferedReader(open_file(file.url), _BUFFER_BYTES)  # pyright: ignore[reportArgumentType]
    if not file.size:
        raise OSError(f"it is empty, so it is not a {compression} file")
    filesystem, path = locate(file.url)
    raw = filesystem.open_input_stream(path, compression=None)
    return io.BufferedReader(pa.CompressedInputStream(raw, compression), _BUFFER_BYTES)  # pyright: ignore[reportArgumentType]


def compression_of(file: SourceFile) -> str | None:
    return next((name for suffix, name in _COMPRESSIONS.items() if file.url.lower().endswith(suffix)), None)


def check_kind(head: bytes, form: str) -> None:
    """Raise OSError, saying what it is, where a file begins as one of another kind than `form` does."""
    remedy = "give its name the ending .gz or .zst" if form in ("json", "csv") else f"unpack it to a plain {form} file"
    for kind, beginning, what in _KINDS:
        if kind != form and beginning.match(head):
            raise OSError(what.format(remedy))


def check_unchanged(file: SourceFile) -> None:
    """Raise SourceUnreadable where the file is not the one that was planned."""
    filesystem, path = locate(file.url)
    with reading(file):
        info = filesystem.get_file_info(path)
    if info.type != pafs.FileType.File:
        raise SourceUnreadable(f"{file.url} is no longer there; put it back, then run the same command again")
    if (info.size or 0, _version(filesystem, info)) != (file.size, file.version):
        raise SourceUnreadable(f"{file.url} changed after it was planned; run the same command again")


@contextmanager
def reading(file: SourceFile) -> Generator[None]:
    """What goes wrong with a file's bytes inside is a SourceUnreadable that names the file."""
    try:
        yield
    except (OSError, EOFError, UnicodeError, MemoryError, pa.ArrowException) as error:
        raise SourceUnreadable(f"{file.url} cannot be read: {sentence(error)}; replace it or take it away") from error


def sentence(error: BaseException) -> str:
    """The first line of a foreign error, short enough for a message."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:200].rstrip(" .")


@functools.lru_cache(maxsize=32)
def _connect(scheme: str, host: str) -> tuple[pafs.FileSystem, str]:
    if scheme in ("s3", "gs", "gcs"):
        return readable(scheme, host), host
    filesystem, base = fsspec.core.url_to_fs(f"{scheme}://{host}")
    return pafs.PyFileSystem(pafs.FSSpecHandler(filesystem)), base


def _version(filesystem: pafs.FileSystem, info: pafs.FileInfo) -> str:
    if info.mtime_ns is None:
        return ""
    if isinstance(filesystem, pafs.LocalFileSystem):
        return str(info.mtime_ns)
    return str(info.mtime_ns // 10**9 * 10**9)  # MinIO and moto tell fractions of a second in a listing only
