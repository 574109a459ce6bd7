"""A few rows of a spec, without Ray and without an output: the rendered prompts, and on request their labels."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd
import pyarrow as pa
from rich.console import Console

from relabel.data.sources import format_of, list_files, read, scan
from relabel.data.sources.types import Columns
from relabel.data.sources.unit import Unit
from relabel.errors import SourceRefused
from relabel.job.encoding.columns import needed_columns, take_columns
from relabel.job.encoding.row import RowEncoder
from relabel.job.engine import engine_of
from relabel.job.engines.choice import settled
from relabel.job.job import Job
from relabel.job.prepare import existing, on_its_day, resolve
from relabel.job.rejects.tally import RejectTally
from relabel.job.sample.threads import threads_of_an_actor
from relabel.job.stages.generate import generate_unit
from relabel.job.stages.publish import label_unit
from relabel.job.stages.read import encode_unit
from relabel.rejected import Rejected
from relabel.spec import Spec
from relabel.spec.section import column_of

_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Control characters, but for the tab and the end of a line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Previewed:
    """The first rows of a spec, and where they are from."""

    table: pd.DataFrame
    """As `preview` has it."""
    spec: Spec
    """As every process takes it, whatever its working directory."""
    units: Sequence[Unit]
    columns: pa.Schema
    """Of the source, as far as it was looked at."""


def preview(spec: Spec, num_rows: int = 5, *, generate: bool = False) -> pd.DataFrame:
    """The first rows of a spec as a table: source_file, source_row, prompt, prompt_tokens, reason.

    Where a row has several labels the last three stand behind the name of each. With `generate` the model is loaded
    too, and the table also has the columns of the output.
    Raises Refused where the spec, the source or the model cannot be used, and SourceUnreadable for a broken file.
    """
    return look(spec, num_rows, generate=generate).table


def look(spec: Spec, num_rows: int, *, generate: bool) -> Previewed:
    """The same with where the rows are from, for whoever reads more of them."""
    store = existing(spec.output.path)
    spec = settled(spec, store)
    resolved = on_its_day(resolve(spec, {}), spec, {}, store)
    spec, encoder = resolved.spec, resolved.encoder
    units, columns, note = _first_units(spec, encoder, resolved.unit_rows(None), num_rows)
    if not units or not columns.names:
        why = f": {note}" if note else "; name files that hold some in source.path"
        raise SourceRefused(f"the source has no {'rows' if not units else 'row with columns'}{why}")
    take_columns(spec, encoder, columns)
    job = resolved.job(columns)
    table = pd.concat([_prompts(unit, encoder, job) for unit in units], ignore_index=True)
    found = Previewed(table=table, spec=spec, units=units, columns=columns)
    if not generate:
        return found
    with threads_of_an_actor(spec.resources.gpus_per_actor):
        engine = engine_of(spec)
        blocks = [generate_unit(encode_unit(unit, encoder, job), engine, job) for unit in units]
    labels = pa.concat_tables([label_unit(block, job) for block in blocks]).to_pandas()
    places = ["source_file", "source_row", *job.kept.names]
    return replace(
        found, table=table.assign(**{str(name): labels[name] for name in labels.columns if name not in places})
    )


def show_preview(table: pd.DataFrame, console: Console, pictures: Sequence[str] = ()) -> None:
    """Print the rows one below the other, a line for each column; texts as they are, but for what steers a terminal.

    `pictures` has what draws those of each row in this terminal, where it can.
    """
    for at, line in enumerate(table.to_dict("records")):
        console.rule(f"{line.pop('source_file')} row {line.pop('source_row')}")
        if pictures and pictures[at]:
            console.file.write(f"{pictures[at]}\n")
        for name, value in line.items():
            is_null = value is None or value != value  # pandas spells a missing number NaN
            console.print(f"[bold]{name}[/]: ", end="")
            # not printed by rich: it wraps lines, widens tabs and makes pictures of words such as :cat:
            text = "-" if is_null else str(value)
            console.file.write(f"{_STEERING.sub(_spelled, text) if console.is_terminal else text}\n")


def _spelled(letter: re.Match[str]) -> str:
    return repr(letter[0])[1:-1]


def rejects(spec: Spec, table: pd.DataFrame) -> RejectTally:
    """The rows of a preview that are rejected for one of their labels: so far, or after generating too."""
    tally = RejectTally()
    tally.add_rows(_reason(spec, row) for row in table.to_dict("records"))
    return tally


def _reason(spec: Spec, row: Mapping[Hashable, object]) -> str | None:
    """Why a row of a preview is rejected. One that is not may have a remark in its place."""
    if "status" in row:
        return str(row["reason"]) if row["status"] == "rejected" else None
    lengths = {query.name: row[column_of(query.name, "prompt_tokens")] for query in spec.queries}
    without = (name for name, length in lengths.items() if not isinstance(length, int))  # pandas has two kinds of null
    return next((str(row[column_of(name, "reason")]) for name in without), None)


def _first_units(spec: Spec, encoder: RowEncoder, unit_rows: int, num_rows: int) -> tuple[list[Unit], pa.Schema, str]:
    """Units of the first rows, and the columns of as many files as it takes to find those rows and all that is read.

    Also what is to be said of the first file that has no such row.
    """
    wanted = {*spec.output.named, *encoder.columns}
    columns = Columns(union=format_of(spec.source).union)
    units: list[Unit] = []
    note = ""
    for file in list_files(spec.source).files:
        scanned = scan(file, spec.source, unit_rows, needed_columns(spec, encoder))
        columns.add(scanned.columns, file.path)
        note = note or (f"{file.path}: {scanned.note}" if scanned.note else "")
        for unit in scanned.units:
            if num_rows > 0:
                units.append(replace(unit, num_rows=min(unit.num_rows, num_rows)))
                num_rows -= unit.num_rows
        if num_rows <= 0 and wanted <= set(columns.schema.names):
            break
    return units, columns.schema, note


def _prompts(unit: Unit, encoder: RowEncoder, job: Job) -> pd.DataFrame:
    rows = read(unit, job.spec.source, list(encoder.columns), job.kept)
    lines = []
    for at, reason in enumerate(rows.reasons):
        row = {column: values[at] for column, values in rows.columns.items()}
        line = {"source_file": unit.file.path, "source_row": unit.first_row + at}
        lines.append(line | (_shown(job.spec, encoder, row) if reason is None else _unread(job.spec, str(reason))))
    table = pd.DataFrame(lines)
    return table.astype({name: "Int64" for name in table.columns if str(name).endswith("prompt_tokens")})


def _shown(spec: Spec, encoder: RowEncoder, row: Mapping[str, object]) -> dict[str, object]:
    """What the model reads of a row for each label, or as much as there is of one that it cannot read."""
    shown: dict[str, object] = {}
    encoded = encoder.encode(row)
    texts = encoder.prompt_texts(row) if any(isinstance(one, Rejected) for one in encoded) else []
    for index, (query, one) in enumerate(zip(spec.queries, encoded, strict=True)):
        is_rejected = isinstance(one, Rejected)
        shown[column_of(query.name, "prompt")] = texts[index] if is_rejected else one.text
        shown[column_of(query.name, "prompt_tokens")] = None if is_rejected else len(one.prompt_ids)
        shown[column_of(query.name, "reason")] = str(one) if is_rejected else one.remark
    return shown


def _unread(spec: Spec, reason: str) -> dict[str, object]:
    keys = {"prompt": None, "prompt_tokens": None, "reason": reason}
    return {column_of(query.name, key): value for query in spec.queries for key, value in keys.items()}
