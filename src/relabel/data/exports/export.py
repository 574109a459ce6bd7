"""`relabel export`: the rows of an output as one file, or as shards, of a format that others read.

Chooses the format and what stands in it; how each is written, its own file knows.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal, Protocol

import pyarrow as pa

from relabel.data.exports.again import SourceAgain, open_again
from relabel.data.exports.chosen import ChosenRows
from relabel.data.exports.one_file import write_jsonl, write_parquet
from relabel.data.exports.openai_batch import export_batch
from relabel.data.exports.pieces import PIECE_BYTES
from relabel.data.exports.progress import SUFFIX, Progress
from relabel.data.exports.webdataset import NO_IMAGE, write_webdataset
from relabel.data.labels.columns import labels_of
from relabel.data.output.manifest import Run, run_of
from relabel.data.store.store import Store
from relabel.errors import SpecError
from relabel.spec.section import column_of
from relabel.version import __version__

ExportFormat = Literal["jsonl", "parquet", "webdataset", "openai"]
_BY_SUFFIX: Mapping[str, ExportFormat] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    SUFFIX: "webdataset",
}
SHARD_MB = 500
"""Of a WebDataset shard, by default: 10^6 bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What was written."""

    format: ExportFormat
    rows: int
    ok: int
    rejected: int
    missing: int
    """Units without a part that counts; their rows are not there."""
    unreadable: int
    """Source files without units, because they could not be planned."""
    files: int = 1
    """Of a WebDataset its shards, also those that an earlier call wrote."""
    without_image: int = 0
    """Samples of a WebDataset none of whose images can be read; most are rejects for that."""
    renamed: Mapping[str, str] = field(default_factory=dict)
    """Source columns whose name the output has a column of, and what they are called beside it."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Source columns that are not there, each with why."""

    @property
    def complete(self) -> bool:
        """Whether every row of the source that was asked for is there."""
        return not (self.missing or self.unreadable)

    def to_json(self) -> dict[str, object]:
        return asdict(self)


class Written(Protocol):
    """What every export gives."""

    @property
    def complete(self) -> bool: ...

    def to_json(self) -> dict[str, object]: ...


def export(
    store: Store,
    target: str,
    *,
    format: ExportFormat | None = None,
    join: bool = False,
    only_ok: bool = False,
    shard_mb: int = SHARD_MB,
    piece_bytes: int = PIECE_BYTES,
) -> Written:
    """Write the rows that are published, in the order of the source, to a path or URL: whole or not at all.

    The format goes by the target's suffix, where none is given. `join` adds all columns of the source, `only_ok` leaves
    out rejects; `shard_mb` bounds a file of a WebDataset, in 10^6 bytes, and `piece_bytes` what is in memory of one
    file's rows. The same call goes on where one was killed. Raises Refused or SpecError where that cannot be,
    SourceUnreadable where a file that has to be opened again is not what was labelled.
    """
    run = run_of(store)
    kind = format or _format_of(target, run)
    if kind == "openai":
        if join or only_ok:
            raise SpecError("a batch file has one line for each request and no columns: leave out --join and --only-ok")
        return export_batch(store, target)
    if kind == "webdataset" and not target.endswith(SUFFIX):
        raise SpecError(
            f"{target}: end it in {SUFFIX}; the shards of NAME.tar are NAME-000000.tar, NAME-000001.tar, ..."
        )
    images = kind == "webdataset" and bool(run.recorded.prompt.image)
    source = open_again(run, join=join, images=images, binary=kind == "parquet") if join or images else None
    rows = ChosenRows(store=store, run=run, source=source, only_ok=only_ok)
    files = 1
    if kind == "webdataset":
        progress = Progress(target, _digest(store, run, rows.schema, [join, only_ok, shard_mb]))
        if not progress.is_complete:
            write_webdataset(rows, progress, text=_text_column(run), shard_bytes=shard_mb * 10**6)
        counts, files = progress.counts, progress.num_files
    else:
        write = write_parquet if kind == "parquet" else write_jsonl
        counts = write(rows, target, _digest(store, run, rows.schema, [kind, join, only_ok, piece_bytes]), piece_bytes)
    return _exported(kind, run, source, counts, files)


def _exported(format: ExportFormat, run: Run, source: SourceAgain | None, counts: Counter[str], files: int) -> Exported:
    return Exported(
        format=format,
        rows=counts["ok"] + counts["rejected"],
        ok=counts["ok"],
        rejected=counts["rejected"],
        missing=counts["missing"],
        unreadable=len(run.plan.unreadable),
        files=files,
        without_image=counts[NO_IMAGE],
        renamed=source.renamed if source else {},
        left_out=source.left_out if source else {},
    )


def _format_of(target: str, run: Run) -> ExportFormat:
    for suffix, format in _BY_SUFFIX.items():
        if target.endswith(suffix):
            return "openai" if format == "jsonl" and run.recorded.source.format == "openai" else format
    raise SpecError(f"{target}: its name does not tell a format; end it in {', '.join(_BY_SUFFIX)}, or add --format")


def _text_column(run: Run) -> str | None:
    """The column of the first label, where that is one text, else that of its generated text; None where a row has
    several of these."""
    name, label = next(iter(labels_of(run.recipe).items()))
    own = [column_of(name, key) for key in label.columns]
    candidates = [*own, column_of(name, "text")] if len(own) == 1 else [column_of(name, "text")]
    return next((column for column in candidates if run.schema.field(column).type == pa.string()), None)


def _digest(store: Store, run: Run, schema: pa.Schema, options: list[object]) -> str:
    """Of which rows there are, as their parts are now, what is written of them, and by which versions."""
    parts = {part: listed.e_tag for part, listed in store.parts().items()}
    what = [run.fingerprint, parts, str(schema), __version__, pa.__version__, *options]
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()
