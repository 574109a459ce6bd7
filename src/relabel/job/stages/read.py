"""A unit into the block that the engine takes: read, and encoded for every label.

A plain function of files, so that a unit can also be read without Ray.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pyarrow as pa

from relabel.data.sources import read
from relabel.data.sources.unit import Unit
from relabel.errors import PartDamaged, SourceUnreadable
from relabel.job.encoding.row import RowEncoder
from relabel.job.encoding.tokenize import Encoded
from relabel.job.faults.attempt import UnitAttempt, whole
from relabel.job.job import Job
from relabel.job.stages import block as blocks
from relabel.job.stages.block import of_query
from relabel.job.stages.rejects import limited, read_draws
from relabel.rejected import Rejected


def read_unit(unit: Unit, job: Job, trial: UnitAttempt | None = None) -> pa.Table:
    """Read and encode one unit. A row that cannot be used carries its reason; an unreadable file fails the unit."""
    return encode_unit(unit, _encoder(job), job, trial)


def encode_unit(unit: Unit, encoder: RowEncoder, job: Job, trial: UnitAttempt | None = None) -> pa.Table:
    """The same with an encoder at hand."""
    queries, trial = job.spec.queries, trial or whole(unit.num_rows)
    try:
        draws = read_draws(unit, job, job.retry) if job.retry else {}
        compared = {query.name: query.label.compare_to for query in queries if query.label.compare_to is not None}
        rows = read(unit, job.spec.source, sorted({*encoder.columns, *compared.values()}), job.kept)
        found = [None if why is None else str(why) for why in rows.reasons]
        reasons = trial.reasons(limited(found, draws) if draws else found)
        encoded: list[list[Encoded | Rejected | str]] = [[reason or ""] * len(queries) for reason in reasons]
        for group in trial.each():
            for at in group:
                if reasons[at] is None:
                    encoded[at] = [*encoder.encode({column: values[at] for column, values in rows.columns.items()})]
    except (PartDamaged, SourceUnreadable) as error:  # also of the storage under a column of image paths
        return blocks.failed_block(unit, str(error))
    columns: dict[str, pa.Array] = {}
    seen: list[dict[str, np.ndarray]] = [{} for _ in encoded]
    for query, own in zip(queries, zip(*encoded, strict=True), strict=True):
        reasons = [
            row if isinstance(row, str) else str(row) if isinstance(row, Rejected) else row.remark for row in own
        ]
        ids = [row.prompt_ids if isinstance(row, Encoded) else None for row in own]
        columns[of_query(blocks.REASON, query.name)] = pa.array(reasons, pa.string())
        columns[of_query(blocks.PROMPT_IDS, query.name)] = pa.array(ids, blocks.IDS)
        columns[of_query(blocks.TENSORS, query.name)] = blocks.pack_tensors(
            [_new_tensors(row, known) for row, known in zip(own, seen, strict=True)]
        )
        if draws:
            columns[of_query(blocks.FIRST_DRAW, query.name)] = pa.array(draws[query.name], pa.int32())
    for name, column in compared.items():
        texts = [None if value is None else str(value) for value in rows.columns[column]]
        columns[of_query(blocks.OLD, name)] = pa.array(texts, pa.string())
    if encoder.settings:
        own = [next((one.settings for one in row if isinstance(one, Encoded)), None) for row in encoded]
        columns[blocks.SETTINGS] = blocks.settings_column(own)
    return blocks.unit_block(unit, rows.kept, columns)


def _new_tensors(row: Encoded | Rejected | str, known: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The tensors that the queries before this one do not have as they are: pixels travel once for all labels."""
    if not isinstance(row, Encoded):
        return {}
    new = {
        name: tensor
        for name, tensor in row.tensors.items()
        if name not in known or not np.array_equal(tensor, known[name])
    }
    known |= new
    return new


@lru_cache(maxsize=1)
def _encoder(job: Job) -> RowEncoder:
    return RowEncoder(job.spec, job.image_root)
