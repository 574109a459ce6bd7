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
from collections.abc import Collection, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import fsspec.core
import pyarrow as pa
import pyarrow.fs as pafs
from fsspec.utils import glob_translate

from relabel.data.sources.unit import SourceFile
from relabel.data.storage.clouds import readable
from relabel.errors import SourceRefused, SourceUnreadable

MAX_ROW_BYTES = 64 * 2**20
"""A longer line of text is no row of a dataset: it is rejected before it is parsed."""

MAX_IMAGE_BYTES = 256 * 2**20
"""An image file above this is not even read; the spec's own limit is applied to what was read."""

_BUFFER_BYTES = 2**20
_GLOB = re.compile(r"[*?\[]")
_COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}


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


def split_glob(pattern: str) -> tuple[str, list[str]]:
    """An absolute pattern as the folder before its first glob character, and the components from there on."""
    components = pattern.split("/")
    first = next((k for k, component in enumerate(components) if _GLOB.search(component)), None)
    if first is None:
        return pattern, []
    if "://" in pattern and first < 3:
        raise SourceRefused(f"{pattern}: a glob cannot stand in the place of the bucket; name the bucket")
    return "/".join(components[:first]) or "/", components[first:]


def relative(url: str, root: str) -> str | None:
    """The path of `url` below `root`, "" for the root itself, or None where it is not below it."""
    if url == root:
        return ""
    prefix = root.rstrip("/") + "/"
    return url[len(prefix) :] if url.startswith(prefix) else None


def is_hidden(path: str) -> bool:
    return any(name.startswith(("_", ".")) for name in path.split("/"))


def find(pattern: str, suffixes: Collection[str]) -> list[Entry]:
    """The files that an absolute pattern names. A folder stands for the files below it with one of the suffixes."""
    base_url, components = split_glob(pattern)
    filesystem, base = locate(base_url)
    while components and components[-1] == "**":
        components.pop()
    found = {}
    try:
        for info in _glob(filesystem, base, components):
            below = _list(filesystem, info.path, recursive=True) if info.type == pafs.FileType.Directory else [info]
            for file in below:
                inner = relative(file.path, info.path)
                if file.type == pafs.FileType.File and (not inner or _is_wanted(inner, suffixes)):
                    url = base_url + file.path[len(base) :] if base != "/" else file.path
                    found[url] = Entry(url=url, size=file.size or 0, version=_version(filesystem, file))
    except (OSError, pa.ArrowException) as error:
        raise SourceRefused(f"{pattern}: cannot be listed: {sentence(error)}") from error
    return list(found.values())


def matches(pattern: str, url: str) -> bool:
    """Whether `find(pattern, ...)` would name `url`, as itself or as a file below a folder."""
    base, components = split_glob(pattern)
    path = relative(url, base)
    if path is None or is_hidden(path):
        return False
    while components and components[-1] == "**":
        components.pop()
    if not components:
        return True
    is_match = re.compile(glob_translate("/".join(components))).match
    names = path.split("/")
    return any(is_match("/".join(names[: depth + 1])) for depth in range(len(names)))


def list_folder(url: str) -> list[Entry]:
    """The files that lie directly in a folder, by name."""
    filesystem, path = locate(url)
    infos = [info for info in _list(filesystem, path, recursive=False) if info.type == pafs.FileType.File]
    return [
        Entry(url=f"{url.rstrip('/')}/{info.base_name}", size=info.size or 0, version=_version(filesystem, info))
        for info in sorted(infos, key=lambda info: info.base_name)
    ]


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
    except (OSError, EOFError, UnicodeDecodeError, MemoryError, pa.ArrowException) as error:
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


def _glob(filesystem: pafs.FileSystem, folder: str, components: list[str]) -> Iterator[pafs.FileInfo]:
    if not components:
        yield filesystem.get_file_info(folder)
        return
    head, *rest = components
    if head == "**":
        is_match = re.compile(glob_translate("/".join(components))).match
        start = len(folder.rstrip("/")) + 1
        for info in _list(filesystem, folder, recursive=True):
            if is_match(info.path[start:]) and not is_hidden(info.path[start:]):
                yield info
        return
    is_match = re.compile(glob_translate(head)).match
    for info in _list(filesystem, folder, recursive=False):
        if is_match(info.base_name) and not is_hidden(info.base_name):
            if not rest:
                yield info
            elif info.type == pafs.FileType.Directory:
                yield from _glob(filesystem, info.path, rest)


def _list(filesystem: pafs.FileSystem, folder: str, *, recursive: bool) -> list[pafs.FileInfo]:
    return filesystem.get_file_info(pafs.FileSelector(folder, allow_not_found=True, recursive=recursive))


def _is_wanted(path: str, suffixes: Collection[str]) -> bool:
    return path.lower().endswith(tuple(suffixes)) and not is_hidden(path)


def _version(filesystem: pafs.FileSystem, info: pafs.FileInfo) -> str:
    if info.mtime_ns is None:
        return ""
    if isinstance(filesystem, pafs.LocalFileSystem):
        return str(info.mtime_ns)
    return str(info.mtime_ns // 10**9 * 10**9)  # MinIO and moto tell fractions of a second in a listing only
