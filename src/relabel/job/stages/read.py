"""A unit into the block that the engine takes: read, and encoded for every label.

A plain function of files, so that a unit can also be read without Ray.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from relabel.data.sources import read
from relabel.data.sources.unit import Unit
from relabel.errors import PartDamaged, SourceUnreadable
from relabel.job.encoding.encoded import Encoded, Tensors, with_remark
from relabel.job.encoding.settings.own import OwnSettings
from relabel.job.faults.attempt import UnitAttempt, whole
from relabel.job.job import Job
from relabel.job.stages import block as blocks
from relabel.job.stages.block import of_query
from relabel.job.stages.digest import digest_of
from relabel.job.stages.rejects import limited, read_draws
from relabel.rejected import Rejected

if TYPE_CHECKING:
    from relabel.job.encoding.row import RowEncoder


def read_unit(unit: Unit, job: Job, attempt: UnitAttempt | None = None) -> pa.Table:
    """Read and encode one unit. A row that cannot be used carries its reason; an unreadable file fails the unit."""
    return encode_unit(unit, _encoder(job), job, attempt)


def prepare_reading(job: Job) -> None:
    """Import and load what reading needs, once a process: 3 s, and more where other processes go first."""
    _encoder(job)


def encode_unit(unit: Unit, encoder: RowEncoder, job: Job, attempt: UnitAttempt | None = None) -> pa.Table:
    """The same with an encoder at hand."""
    queries, attempt = job.spec.queries, attempt or whole(unit.num_rows)
    compared = {query.name: query.label.compare_to for query in queries if query.label.compare_to is not None}
    encoded: dict[int, list[Encoded | Rejected]] = {}
    try:
        draws = read_draws(unit, job, job.retry) if job.retry else {}
        rows = read(unit, job.spec.source, sorted({*encoder.columns, *compared.values()}), job.kept)
        digest = digest_of(rows)
        if (published := job.digests.get(unit.part)) is not None:
            if digest and digest == published:
                return blocks.same_block(unit, digest)
            if unit.file.state == "touched":
                return blocks.changed_block(unit)
        unread = [None if why is None else str(why) for why in rows.reasons]
        unread = attempt.reasons(limited(unread, draws) if draws else unread)
        for group in attempt.each():
            asked = [row for row in group if unread[row] is None]
            values = ({column: column_values[row] for column, column_values in rows.columns.items()} for row in asked)
            encoded |= zip(asked, encoder.encode_all(values), strict=True)
        encoder.check_root()
    except (PartDamaged, SourceUnreadable) as error:  # also of the storage under a column of image paths
        return blocks.failed_block(unit, str(error))
    for row, remark in enumerate(rows.remarks):
        if remark is not None and row in encoded:
            encoded[row] = [with_remark(one, remark) for one in encoded[row]]
    columns: dict[str, pa.Array] = {blocks.DIGEST: pa.array([digest] * unit.num_rows, pa.string())}
    known: dict[int, Tensors] = {row: {} for row in encoded}
    for index, query in enumerate(queries):
        columns |= _label_columns(query.name, {row: labels[index] for row, labels in encoded.items()}, unread, known)
    columns |= {of_query(blocks.FIRST_DRAW, name): numbers for name, numbers in draws.items()}
    for name, column in compared.items():
        texts = [None if value is None else str(value) for value in rows.columns[column]]
        columns[of_query(blocks.OLD, name)] = pa.array(texts, pa.string())
    if encoder.settings:
        own = [_settings(encoded.get(row, ())) for row in range(unit.num_rows)]
        columns[blocks.SETTINGS] = blocks.settings_column(own)
    return blocks.unit_block(unit, rows.kept, columns)


def _label_columns(
    name: str, rows: Mapping[int, Encoded | Rejected], unread: Sequence[str | None], known: Mapping[int, Tensors]
) -> dict[str, pa.Array]:
    """What travels of one label. `known`: the tensors of each row that labels before it brought; added to."""
    reasons = list(unread)
    prompts: list[list[int] | None] = [None] * len(unread)
    reply_starts: list[str | None] = [None] * len(unread)
    chats: list[str | None] = [None] * len(unread)
    tensors: list[Tensors] = [{} for _ in unread]
    for row, one in rows.items():
        if isinstance(one, Rejected):
            reasons[row] = str(one)
        else:
            reasons[row], prompts[row], reply_starts[row] = one.remark, one.prompt_ids, one.reply_start
            chats[row] = json.dumps(one.chat) if one.chat else None
            tensors[row] = _new(one.tensors, known[row])
            known[row].update(tensors[row])
    return {
        of_query(blocks.REASON, name): pa.array(reasons, pa.string()),
        of_query(blocks.PROMPT_IDS, name): pa.array(prompts, blocks.IDS),
        of_query(blocks.CHAT, name): pa.array(chats, pa.string()),
        of_query(blocks.REPLY_START, name): pa.array(reply_starts, pa.string()),
        of_query(blocks.TENSORS, name): blocks.pack_tensors(tensors),
    }


def _new(tensors: Tensors, known: Tensors) -> Tensors:
    """The tensors that the labels before this one do not have as they are: pixels travel once for all labels."""
    return {
        name: tensor for name, tensor in tensors.items() if name not in known or not np.array_equal(tensor, known[name])
    }


def _settings(labels: Sequence[Encoded | Rejected]) -> OwnSettings | None:
    """The row's own settings, which are the same for all labels that are asked."""
    return next((one.settings for one in labels if isinstance(one, Encoded)), None)


def _encoder(job: Job) -> RowEncoder:
    """One for a run; of the same recipe in another folder, images and the model may be others."""
    return _kept_encoder(job, job.image_root, job.spec.model.path)


@lru_cache(maxsize=1)
def _kept_encoder(job: Job, image_root: str | None, _model: str) -> RowEncoder:
    from relabel.job.encoding.row import RowEncoder  # imports that only readers need

    encoder = RowEncoder(job.spec, image_root)
    encoder.has_row = job.has_row
    # what was imported and loaded stays: to look through it again takes 0.25 s of the first 1,024 rows of text
    gc.freeze()
    return encoder
