"""Generated text in, the columns of an output row out. The parsers are total: any text is a label or a reject.

Knows nothing of tokens or of how text was generated.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from relabel.errors import RowRejected
from relabel.spec import Label


def output_schema(kept: pa.Schema, label: Label) -> pa.Schema:
    """The one schema of every part of a run."""
    return pa.schema(
        [
            pa.field("source_file", pa.string(), nullable=False),
            pa.field("source_row", pa.int64(), nullable=False),
            *(field.with_nullable(True).remove_metadata() for field in kept),
            pa.field(label.column, pa.string()),
            pa.field("text", pa.string()),
            pa.field("status", pa.string(), nullable=False),
            pa.field("reason", pa.string()),
            pa.field("finish_reason", pa.string()),
            pa.field("prompt_tokens", pa.int32()),
            pa.field("output_tokens", pa.int32()),
        ]
    )


def cut_at_stop(text: str, stop: Sequence[str]) -> str:
    """The text up to the first of the stop texts."""
    return text[: min((at for mark in stop if (at := text.find(mark)) >= 0), default=len(text))]


def parse_label(text: str, label: Label) -> str:
    """The label in a generated text. Raises RowRejected("parse: ...") where there is none."""
    stripped = text.strip()
    if not stripped:
        raise RowRejected("parse: the model wrote nothing")
    if label.parse == "last_line":
        return stripped.splitlines()[-1].strip()
    return stripped
