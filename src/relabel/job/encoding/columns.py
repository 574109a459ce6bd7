"""The columns of a source against those that a spec names: which a run has to know, and whether they are there.

Knows an encoder and a schema; nothing of files.
"""

from __future__ import annotations

import pyarrow as pa

from relabel.data.images.column_type import check_image_columns
from relabel.data.prompts.columns import check_columns
from relabel.data.prompts.reads import ROW
from relabel.job.encoding.row import RowEncoder
from relabel.spec import Spec


def take_columns(spec: Spec, encoder: RowEncoder, columns: pa.Schema) -> None:
    """Tell the encoder of the source's columns. Refuses one that a spec names and the source lacks."""
    encoder.has_row = ROW in columns.names
    kept = dict.fromkeys(spec.output.named, "output.keep")
    compared = {query.label.compare_to: "label.compare_to" for query in spec.queries if query.label.compare_to}
    check_columns(kept | compared | encoder.columns, columns.names)
    check_image_columns(spec.prompt.images, columns)


def needed_columns(spec: Spec, encoder: RowEncoder) -> frozenset[str] | None:
    """The columns of the source that a run has to know the types of; None for all."""
    if spec.output.keep == "all":
        return None
    compared = {query.label.compare_to for query in spec.queries if query.label.compare_to}
    return encoder.may_read | compared | {*spec.output.keep}
