"""Sources: the files a spec names, their columns, their units, and the rows of one unit.

The one place that knows all formats. Knows nothing of prompts, models, parts or Ray.
"""

# pyarrow has no types, so that nothing that comes from it has one.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false, reportUnknownLambdaType=false
from __future__ import annotations

import re
from collections.abc import Sequence

import pyarrow as pa

from relabel.data.sources import csv, files, image_folder, jsonl, openai, parquet, webdataset
from relabel.data.sources.unit import Rows, SourceFile, Unit
from relabel.errors import SourceRefused
from relabel.spec import Source

_FORMATS = {
    "parquet": parquet,
    "jsonl": jsonl,
    "csv": csv,
    "webdataset": webdataset,
    "images": image_folder,
    "openai": openai,
}
_FILE_SUFFIX = re.compile(r"\.[A-Za-z]\w*$")


def list_files(source: Source) -> list[SourceFile]:
    """Every file of the source, by path. SourceRefused where a path names none, or two would write the same parts."""
    root = source_root(source)
    suffixes = _FORMATS[source.format].SUFFIXES
    entries: dict[str, files.Entry] = {}
    for pattern in source.paths:
        found = files.find(files.absolute(pattern), suffixes)
        if source.format == "images":
            found = [entry for entry in found if entry.url.lower().endswith(suffixes)]
        if not found:
            raise SourceRefused(f"source.path {pattern} matches no {source.format} file; correct it or add the data")
        entries |= {entry.url: entry for entry in found}
    if source.format == "images":
        listed = image_folder.group(entries.values(), root)
    else:
        listed = [
            SourceFile(
                path=files.relative(entry.url, root) or entry.url.rpartition("/")[2],
                url=entry.url,
                size=entry.size,
                version=entry.version,
            )
            for entry in entries.values()
        ]
    _check_stems(listed)
    return sorted(listed, key=lambda file: file.path)


def source_root(source: Source) -> str:
    """The folder that the paths of all files are relative to: from the spec alone, so that new files rename nothing."""
    folders = []
    for pattern in source.paths:
        folder, glob = files.split_glob(files.absolute(pattern))
        parent, _, name = folder.rpartition("/")
        if not glob and _FILE_SUFFIX.search(name) and not parent.endswith(":/"):
            folder = parent or "/"
        folders.append(folder.split("/"))
    shared = []
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


def scan(file: SourceFile, source: Source, unit_rows: int) -> list[Unit]:
    """The units of one file, none where it has no rows. SourceUnreadable where it is broken."""
    return _FORMATS[source.format].scan(file, source, unit_rows)


def columns_of(file: SourceFile, source: Source) -> pa.Schema:
    """The columns of one file and their types."""
    return _FORMATS[source.format].columns_of(file, source)


def read(unit: Unit, source: Source, columns: Sequence[str], kept: pa.Schema) -> Rows:
    """The rows of one unit. SourceUnreadable where the file is broken or changed; a bad row gets a reason."""
    if source.format == "images":
        return image_folder.read(unit, source, columns, kept, source_root(source))
    files.check_unchanged(unit.file)
    return _FORMATS[source.format].read(unit, source, columns, kept)


def _check_stems(listed: Sequence[SourceFile]) -> None:
    owners: dict[str, SourceFile] = {}
    for file in listed:
        if files.is_hidden(file.stem):
            raise SourceRefused(f"{file.url}: names that begin with _ or . are skipped by readers; rename it")
        if (other := owners.setdefault(file.stem, file)) is not file:
            raise SourceRefused(f"{other.url} and {file.url} would write the same parts; rename one of them")
