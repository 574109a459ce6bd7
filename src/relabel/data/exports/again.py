"""The source of a run opened once more: the columns of its rows, and the images that they name.

Knows the run's plan and formats. Knows nothing of labels.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import pyarrow as pa

from relabel.data.labels.kept import has_bytes
from relabel.data.output.manifest import Run
from relabel.data.sources import format_of, read, scan
from relabel.data.sources.roots import absolute_source, source_root
from relabel.data.sources.types import Columns
from relabel.data.sources.unit import Rows, Unit
from relabel.data.store.fault import first_fault
from relabel.errors import Refused
from relabel.spec import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceAgain:
    """A source, and which of its columns are read."""

    source: Source
    """With absolute paths."""
    columns: pa.Schema
    """Those that stand beside the labels, by their names in the source."""
    renamed: Mapping[str, str]
    """The names in the export of those that the output has a column of, too."""
    left_out: Mapping[str, str]
    """Columns that are in no export of this kind, each with why."""
    image_columns: tuple[str, ...]
    """Those whose values are given as they are."""

    @property
    def renamed_schema(self) -> pa.Schema:
        names = [self.renamed.get(name, name) for name in self.columns.names]
        return pa.schema([field.with_name(name) for field, name in zip(self.columns, names, strict=True)])

    @property
    def image_root(self) -> str:
        """The folder that relative paths of images are in."""
        return self.source.image_root or source_root(self.source)

    def read(self, unit: Unit) -> Rows:
        """The rows of a unit, all of them. Raises SourceUnreadable where its file is another than was labelled."""
        return read(unit, self.source, self.image_columns, self.columns)


def open_again(run: Run, *, join: bool, images: bool, binary: bool) -> SourceAgain:
    """The source of a run: with `join` all columns that the output has not, with `images` what its prompts show.

    Without `binary` columns of bytes are left out. Raises Refused where the run did not leave enough to find it.
    """
    source = _source_of(run)
    columns, renamed, left_out = pa.schema([]), dict[str, str](), dict[str, str]()
    if join:
        columns, left_out = _all_columns(run, source, binary=binary)
        renamed = free_names(columns.names, run.schema.names)
    names = run.recorded.prompt.image if images else ()
    return SourceAgain(source=source, columns=columns, renamed=renamed, left_out=left_out, image_columns=names)


def free_names(names: Collection[str], taken: Collection[str]) -> dict[str, str]:
    """For each of the names that are taken one that is free: `source_NAME`, with more of `source_` as it takes."""
    new, used = dict[str, str](), {*names, *taken}
    for name in names:
        if name in taken:
            free = f"source_{name}"
            while free in used:
                free = f"source_{free}"
            used.add(free)
            new[name] = free
    return new


def _source_of(run: Run) -> Source:
    try:
        source = absolute_source(Source.model_validate(run.recipe.get("source")))
    except ValueError as error:
        raise Refused(
            f"the recipe of the run names no source that can be opened again: {first_fault(error)}"
        ) from error
    root = source_root(source).rstrip("/") + "/"
    if moved := [one.file.url for one in run.plan.files if not f"{one.file.url}/".startswith(root)]:
        raise Refused(
            f"the run's source.path is relative, and {moved[0]} is not below {root}: call this in the folder in which "
            "the run was begun"
        )
    return source


def _all_columns(run: Run, source: Source, *, binary: bool) -> tuple[pa.Schema, dict[str, str]]:
    """The columns of the source that are not in the output already, in types that hold the values of all files.

    Scanned anew: a plan may know less of those that its run did not need.
    """
    columns = Columns(union=format_of(source).union)
    for planned in run.plan.files:
        if planned.file.state != "gone":
            columns.add(scan(planned.file, source, run.unit_rows, None).columns, planned.file.path)
    schema, left_out = columns.schema, dict(columns.clashes(columns.schema.names))
    for name in schema.names:
        if schema.names.count(name) > 1:
            left_out[name] = "a file has two columns of this name"
        elif not binary and has_bytes(schema.field(name).type):
            left_out[name] = "it holds bytes"
    names = [name for name in schema.names if name not in left_out and name not in run.kept.names]
    return pa.schema([schema.field(name).remove_metadata() for name in names]), left_out
