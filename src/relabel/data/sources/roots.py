"""The folder that the paths of all files of a source are relative to. Knows the spec alone: no storage is asked."""

from __future__ import annotations

import re

from relabel.data.sources import files
from relabel.data.sources.finding import split_glob
from relabel.errors import SourceRefused
from relabel.spec import Source

_FILE_SUFFIX = re.compile(r"\.[A-Za-z]\w*$")


def source_root(source: Source) -> str:
    """The folder that the paths of all files are relative to: from the spec alone, so that new files rename nothing."""
    folders: list[list[str]] = []
    for pattern in source.paths:
        folder, glob = split_glob(files.absolute(pattern))
        parent, _, name = folder.rpartition("/")
        if not glob and _FILE_SUFFIX.search(name) and not parent.endswith(":/"):
            folder = parent or "/"
        folders.append(folder.split("/"))
    shared: list[str] = []
    for components in zip(*folders, strict=False):
        if len(set(components)) > 1:
            break
        shared.append(components[0])
    if not shared or (shared[0].endswith(":") and len(shared) < 3):
        raise SourceRefused("the paths in source.path lie in different buckets or filesystems; make one job for each")
    return "/".join(shared) or "/"


def absolute_source(source: Source) -> Source:
    """The same source for processes that run in other folders: its paths no longer depend on the working directory."""
    paths = [files.absolute(pattern) for pattern in source.paths]
    root = None if source.image_root is None else files.absolute(source.image_root)
    return source.model_copy(update={"path": paths, "image_root": root})
