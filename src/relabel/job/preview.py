"""A few rows of a spec, without Ray and without an output: the rendered prompts, and on request their labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pandas as pd
import pyarrow as pa

from relabel.data.sources import columns_of, list_files, read, scan
from relabel.data.unit import Unit
from relabel.errors import RowRejected, SourceRefused
from relabel.job.context import RunContext
from relabel.job.encode import Encoder
from relabel.job.engine import engine_of
from relabel.job.prepare import check_source_columns, default_unit_rows, make_encoder, preview_context
from relabel.job.stages import encode_unit, generate_unit, label_unit
from relabel.spec import Spec


def preview(spec: Spec, num_rows: int = 5, *, generate: bool = False) -> pd.DataFrame:
    """The first rows of a spec as a table: source_file, source_row, prompt, prompt_tokens, reason.

    With `generate` the model is loaded too, and the table also has the label column, text, status and finish_reason.
    Raises Refused where the spec, the source or the model cannot be used, and SourceUnreadable for a broken file.
    """
    encoder = make_encoder(spec)
    units = list(_first_units(spec, default_unit_rows(spec, encoder), num_rows))
    if not units:
        raise SourceRefused("the source has no rows; name files that hold some in source.path")
    columns = columns_of(units[0].file, spec.source)
    check_source_columns(spec, encoder, columns)
    context = preview_context(spec, columns)
    table = pd.concat([_prompts(unit, encoder, context) for unit in units], ignore_index=True)
    if not generate:
        return table
    engine = engine_of(spec)
    blocks = [generate_unit(encode_unit(unit, encoder, context), engine) for unit in units]
    labels = pa.concat_tables([label_unit(block, context) for block in blocks]).to_pandas()
    table["reason"] = labels["reason"]
    return table.join(labels[[spec.label.column, "text", "status", "finish_reason"]])


def _first_units(spec: Spec, unit_rows: int, num_rows: int) -> Iterator[Unit]:
    for file in list_files(spec.source):
        for unit in scan(file, spec.source, unit_rows):
            if num_rows <= 0:
                return
            yield replace(unit, num_rows=min(unit.num_rows, num_rows))
            num_rows -= unit.num_rows


def _prompts(unit: Unit, encoder: Encoder, context: RunContext) -> pd.DataFrame:
    rows = read(unit, context.spec.source, list(encoder.columns), context.kept)
    lines = []
    for at, reason in enumerate(rows.reasons):
        row = {column: values[at] for column, values in rows.columns.items()}
        prompt = num_tokens = None
        if reason is None:
            try:
                prompt = encoder.prompt_text(row)
                encoded = encoder.encode(row)
                num_tokens, reason = len(encoded.prompt_ids), encoded.remark
            except RowRejected as error:
                reason = str(error)
        lines.append((unit.file.path, unit.first_row + at, prompt, num_tokens, reason))
    columns = ["source_file", "source_row", "prompt", "prompt_tokens", "reason"]
    return pd.DataFrame(lines, columns=columns).astype({"prompt_tokens": "Int64"})
