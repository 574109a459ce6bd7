"""Sources: the files a spec names, their columns, their units, and the rows of one unit.

The one place that knows all formats. Knows nothing of prompts, models, parts or Ray.
"""

# pyarrow has no types, so that nothing that comes from it has one.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false, reportUnknownLambdaType=false
from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import pyarrow as pa

from relabel.data.sources.formats import csv, image_folder, jsonl, openai, parquet, webdataset
from relabel.data.sources.formats.format import Format, Scanned
from relabel.data.sources.listing import Listing, list_source
from relabel.data.sources.unit import Rows, SourceFile, Unit
from relabel.spec import Source

_FORMATS: Mapping[str, Format] = {
    "parquet": parquet,
    "jsonl": jsonl,
    "csv": csv,
    "webdataset": webdataset,
    "images": image_folder,
    "openai": openai,
}


def format_of(source: Source) -> Format:
    """The format of all files of a source."""
    return _FORMATS[source.format]


def list_files(source: Source, known: Mapping[str, SourceFile] | None = None) -> Listing:
    """Every file of the source, on top of those of an earlier plan by path. SourceRefused where a path names none."""
    return list_source(source, format_of(source), known or {})


def scan(file: SourceFile, source: Source, unit_rows: int, needed: Collection[str] | None = None) -> Scanned:
    """The units of one file and its columns, at least those in `needed`. SourceUnreadable where it is broken."""
    return format_of(source).scan(file, source, unit_rows, needed)


def read(unit: Unit, source: Source, columns: Sequence[str], kept: pa.Schema) -> Rows:
    """The rows of one unit. SourceUnreadable where the file is broken or changed; a bad row gets a reason."""
    return format_of(source).read(unit, source, columns, kept)
