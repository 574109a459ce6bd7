"""Which files the paths of a spec name: files, folders and globs, and what they pass over.

Knows nothing of formats: their suffixes are told to it. A name that is there as it is written is that name, although
it has the characters of a glob.
"""

# pyarrow has no types, so that nothing that comes from it has one.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false, reportUnknownLambdaType=false
from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.fs as pafs
from fsspec.utils import glob_translate

from relabel.data.sources.files import Entry, entry_of, is_hidden, locate, relative, sentence
from relabel.errors import SourceRefused

_GLOB = re.compile(r"[*?\[]")
_SUFFIX = re.compile(r"[^.]((?:\.[A-Za-z0-9]{1,10})?\.[A-Za-z0-9]{1,12})$")
_DELTA = "of a Delta table's log (rows that the table has deleted or replaced are read, too)"
_ARCHIVES = (".gz", ".zst", ".bz2", ".xz", ".zip")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What one path names."""

    entries: list[Entry]
    is_named: bool
    """Whether the path is that of the one file that was found."""
    passed_over: Counter[str] = field(default_factory=Counter)
    """Files below a folder that have none of the suffixes, by their own, and hidden ones."""
    bad_names: list[bytes] = field(default_factory=list)
    """Paths that are not UTF-8, of whatever suffix."""


def split_glob(pattern: str) -> tuple[str, list[str]]:
    """An absolute pattern as the folder before its first glob character, and the components from there on."""
    components = pattern.split("/")
    first = next((k for k, component in enumerate(components) if _GLOB.search(component)), None)
    if first is None:
        return pattern, []
    if "://" in pattern and first < 3:
        raise SourceRefused(f"{pattern}: a glob cannot stand in the place of the bucket; name the bucket")
    return "/".join(components[:first]) or "/", components[first:]


def suffix_of(url: str) -> str:
    """The suffix of a file's name in lower case, with that below a compression; a word where it has none."""
    match = _SUFFIX.search(url.rpartition("/")[2])
    if match is None:
        return "without a suffix"
    whole = match[1].lower()
    return whole if whole.endswith(_ARCHIVES) else f".{whole.rpartition('.')[2]}"


def find(pattern: str, suffixes: Collection[str]) -> Found:
    """The files that an absolute pattern names. A folder stands for the files below it with one of the suffixes."""
    base_url, components = split_glob(pattern)
    filesystem, base = locate(base_url)
    while components and components[-1] == "**":
        components.pop()
    bad: list[bytes] = []
    found: dict[str, Entry] = {}
    passed_over: Counter[str] = Counter()
    is_named = False
    try:
        for info in _Walk(filesystem, bad).glob(base, components):
            is_folder = info.type == pafs.FileType.Directory
            is_named = not is_folder and (not components or info.path == f"{base.rstrip('/')}/{'/'.join(components)}")
            for file in _Walk(filesystem, bad).list(info.path, recursive=True) if is_folder else [info]:
                inner = relative(file.path, info.path) or ""
                if file.type != pafs.FileType.File:
                    continue
                if is_hidden(inner):
                    passed_over[_DELTA if "_delta_log" in inner.split("/") else "hidden"] += 1
                elif inner and not inner.lower().endswith(tuple(suffixes)):
                    passed_over[suffix_of(inner)] += 1
                else:
                    url = base_url + file.path[len(base) :] if base != "/" else file.path
                    found[url] = entry_of(filesystem, file, url)
    except (OSError, pa.ArrowException) as error:
        raise SourceRefused(f"{pattern}: cannot be listed: {sentence(error)}") from error
    return Found(entries=list(found.values()), is_named=is_named, passed_over=passed_over, bad_names=bad)


def matches(pattern: str, url: str) -> bool:
    """Whether `find(pattern, ...)` would name `url`, as itself or as a file below a folder."""
    if (inner := relative(url, pattern)) is not None and not is_hidden(inner):
        return True
    base, components = split_glob(pattern)
    path = relative(url, base)
    if path is None or is_hidden(path):
        return False
    while components and components[-1] == "**":
        components.pop()
    if not components:
        return True
    glob, names = "/".join(components), path.split("/")
    globs = [re.compile(glob_translate(one)) for one in (glob, glob.replace("[", "[[]"))]
    return any(one.match("/".join(names[: depth + 1])) for depth in range(len(names)) for one in globs)


class _Walk:
    """The names of one filesystem. Those that are not UTF-8 go to `bad`: Arrow has no text for them."""

    def __init__(self, filesystem: pafs.FileSystem, bad: list[bytes]) -> None:
        self._filesystem, self._bad = filesystem, bad

    def list(self, folder: str, *, recursive: bool) -> list[pafs.FileInfo]:
        selector = pafs.FileSelector(folder, allow_not_found=True, recursive=recursive)
        infos: list[pafs.FileInfo] = []
        for info in self._filesystem.get_file_info(selector):
            try:
                is_text = bool(info.path)
            except UnicodeDecodeError as error:
                is_text = False
                if info.type == pafs.FileType.File:
                    self._bad.append(error.object)
            if is_text:
                infos.append(info)
        return infos

    def glob(self, folder: str, components: list[str]) -> Iterator[pafs.FileInfo]:
        if not components:
            yield self._filesystem.get_file_info(folder)
            return
        head, *rest = components
        if head == "**":
            is_match = re.compile(glob_translate("/".join(components))).match
            start = len(folder.rstrip("/")) + 1
            for info in self.list(folder, recursive=True):
                if is_match(info.path[start:]) and not is_hidden(info.path[start:]):
                    yield info
            return
        infos = self.list(folder, recursive=False)
        is_match = re.compile(glob_translate(head)).match
        exact = [info for info in infos if info.base_name == head]
        for info in exact or infos:
            if exact or (is_match(info.base_name) and not is_hidden(info.base_name)):
                if not rest:
                    yield info
                elif info.type == pafs.FileType.Directory:
                    yield from self.glob(info.path, rest)
