"""The one Arrow table that carries a unit from stage to stage: a row for each row, or one row that says why it failed.

Knows the names of the travelling columns. `relabel:` keeps them apart from the columns of the source.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
from safetensors.numpy import load, save

from relabel.data.sources.unit import Unit
from relabel.errors import RunFailed
from relabel.job.encoding.settings.form import Form
from relabel.job.encoding.settings.own import OwnSettings
from relabel.job.receipt import EngineReport
from relabel.job.stages.completions import Completion
from relabel.job.stream.rows import text_of, unit_of_text
from relabel.spec import Query

UNIT = "relabel:unit"
FAILURE = "relabel:failure"
REASON = "relabel:reason"
PROMPT_IDS = "relabel:prompt_ids"
CHAT = "relabel:chat"
"""The same as messages, JSON of roles and texts, where the engine takes these; null for all others."""
TENSORS = "relabel:tensors"
PROMPT_TOKENS = "relabel:prompt_tokens"
REPLY_START = "relabel:reply_start"
"""What the chat template wrote behind the messages of a row."""
TEXTS = "relabel:texts"
PROBABILITIES = "relabel:probabilities"
OLD = "relabel:old"
SETTINGS = "relabel:settings"
"""A row's own sampling settings, where the source has them: see `OwnSettings`."""
FIRST_DRAW = "relabel:first_draw"
"""Of a retry: the draw that a row goes on with, see `rejects`; null for a row that is not asked again."""
NAME = "relabel:name"
"""Of a sample: which row of which file a row is, in the words that seed its texts; a unit's rows are known by it."""
ENGINE = "relabel:engine"
DIGEST = "relabel:digest"
"""Of what was read of the unit: see `digest`."""
SAME = "relabel:same"
"""The same, of a unit that is not read any further: its part was made from rows that read the same."""
CHANGED = "relabel:changed"
"""There where a unit failed for having other rows than its part, which nobody said may be labelled anew."""

IDS = pa.list_(pa.int32())
OWN_SETTINGS = pa.struct(
    [
        ("max_new_tokens", pa.int32()),
        ("temperature", pa.float64()),
        ("top_p", pa.float64()),
        ("seed", pa.uint64()),
        ("min_new_tokens", pa.int32()),
        ("top_k", pa.int32()),
        ("min_p", pa.float64()),
        ("repetition_penalty", pa.float64()),
        ("stop_token_ids", pa.list_(pa.int32())),
        ("stop", pa.list_(pa.string())),
        ("form", pa.struct([("name", pa.string()), ("kind", pa.string()), ("value", pa.string())])),
    ]
)
COMPLETIONS = pa.list_(
    pa.struct(
        [
            ("text", pa.string()),
            ("finish_reason", pa.string()),
            ("error", pa.string()),
            ("logprob", pa.float32()),
            ("attempts", pa.int32()),
            ("num_tokens", pa.int32()),
        ]
    )
)
"""The texts of a row, one for each sample: see `Completion`."""
MAX_BLOCK_BYTES = 128 * 2**20
"""Between stages a block should stay under this; default unit sizes are chosen for it."""


def of_query(column: str, name: str) -> str:
    """The travelling column of one of several labels."""
    return f"{column}:{name}" if name else column


def unit_block(unit: Unit, kept: pa.Table, columns: Mapping[str, pa.Array]) -> pa.Table:
    """A block of `unit.num_rows` rows: the kept columns and the travelling ones."""
    block = kept.append_column(UNIT, pa.array([text_of(unit)] * unit.num_rows, pa.string()))
    block = block.append_column(FAILURE, pa.nulls(unit.num_rows, pa.string()))
    for name, column in columns.items():
        block = block.append_column(name, column)
    return block


def with_report(block: pa.Table, report: EngineReport) -> pa.Table:
    """The block with what its engine says of itself, beside its first row."""
    texts = [report.to_text(), *[None] * (block.num_rows - 1)]
    return block.append_column(ENGINE, pa.array(texts, pa.string()))


def report_of_block(block: pa.Table) -> EngineReport | None:
    """What the engine said of itself; None where it never saw the block."""
    return EngineReport.from_text(block[ENGINE][0].as_py()) if ENGINE in block.column_names else None


def old_labels_of(block: pa.Table, queries: Sequence[Query]) -> dict[str, list[str | None]]:
    """The columns that labels are compared to, by the names of the labels."""
    columns = {query.name: of_query(OLD, query.name) for query in queries}
    return {name: block[column].to_pylist() for name, column in columns.items() if column in block.column_names}


def failed_block(unit: Unit, why: str) -> pa.Table:
    """A block that says why a unit has no labels this time."""
    return pa.table({UNIT: pa.array([text_of(unit)]), FAILURE: pa.array([why])})


def changed_block(unit: Unit) -> pa.Table:
    """The block of a unit that has other rows than its part, which may not be labelled anew."""
    why = f"{unit.file.path} has other rows than its labels were made from; --redo-changed labels them anew"
    return failed_block(unit, why).append_column(CHANGED, pa.array([True]))


def same_block(unit: Unit, digest: str) -> pa.Table:
    """The block of a unit whose part was made from rows that read the same."""
    return (
        failed_block(unit, "").set_column(1, FAILURE, pa.nulls(1, pa.string())).append_column(SAME, pa.array([digest]))
    )


def same_of(block: pa.Table) -> str | None:
    """The digest of a unit whose part was made from rows that read the same; None for any other."""
    return block[SAME][0].as_py() if SAME in block.column_names else None


def is_over(block: pa.Table) -> bool:
    """Whether nothing is to be generated: the unit failed, or its part stays."""
    return failure_of(block) is not None or same_of(block) is not None


def failure_of(block: pa.Table) -> str | None:
    """Why the unit of a block failed, or None."""
    return block[FAILURE][0].as_py()


def unit_of(block: pa.Table) -> Unit:
    """The unit of a block. Raises RunFailed where the block is not that unit, whole, and nothing else."""
    texts = set(block[UNIT].to_pylist())
    unit = unit_of_text(texts.pop())
    if texts or (not is_over(block) and block.num_rows != unit.num_rows):
        raise RunFailed(
            f"{unit.part}: Ray cut or joined blocks, so this is not one whole unit; nothing of it was written"
        )
    return unit


def settings_column(settings: Sequence[OwnSettings | None]) -> pa.Array:
    """The rows' own sampling settings as they travel."""
    return pa.array([None if own is None else _travelling(own) for own in settings], OWN_SETTINGS)


def settings_of(block: pa.Table) -> list[OwnSettings | None]:
    """Each row's own sampling settings; None where it has none."""
    if SETTINGS not in block.column_names:
        return [None] * block.num_rows
    values = block[SETTINGS].to_pylist()
    return [None if value is None else _arrived(value) for value in values]


def _travelling(own: OwnSettings) -> dict[str, object]:
    """All but the variables of the chat template, which the row's prompt was rendered with by now."""
    fields: dict[str, object] = {name: getattr(own, name) for name in OWN_SETTINGS.names}
    return fields | {"form": own.form and asdict(own.form)}


def _arrived(fields: dict[str, Any]) -> OwnSettings:
    lists = {name: tuple(fields[name]) for name in ("stop", "stop_token_ids")}
    return OwnSettings(**{**fields, **lists, "form": Form(**fields["form"]) if fields["form"] else None})


def completions_column(rows: Sequence[Sequence[Completion] | None]) -> pa.Array:
    """The texts of each row as they travel; null for a row without any."""
    return pa.array([None if row is None else [asdict(one) for one in row] for row in rows], COMPLETIONS)


def completions_of(block: pa.Table, name: str) -> list[list[Completion]]:
    """The texts of each row for a label; none for a row that none was generated for."""
    return [[Completion(**one) for one in row or ()] for row in block[of_query(TEXTS, name)].to_pylist()]


def probabilities_of(block: pa.Table, name: str) -> list[list[float] | None]:
    """The probability of each choice of a label, by row; None for a row that has none."""
    column = of_query(PROBABILITIES, name)
    return block[column].to_pylist() if column in block.column_names else [None] * block.num_rows


def reply_starts_of(block: pa.Table, name: str) -> list[str]:
    """What the chat template wrote behind the messages of each row; empty where nothing is known of it."""
    column = of_query(REPLY_START, name)
    if column not in block.column_names:
        return [""] * block.num_rows
    return [text or "" for text in block[column].to_pylist()]


def names_of(block: pa.Table, unit: Unit) -> list[str]:
    """What names each row in whatever unit or run, and with the label and the draw seeds its texts."""
    if NAME in block.column_names:
        return block[NAME].to_pylist()
    return ["\0".join((unit.file.path, str(unit.first_row + row))) for row in range(unit.num_rows)]


def chats_of(block: pa.Table, name: str) -> list[tuple[tuple[str, str], ...]]:
    """The messages of each row; none where the engine takes none."""
    texts = block[of_query(CHAT, name)].to_pylist()
    return [tuple((role, text) for role, text in json.loads(one)) if one else () for one in texts]


def digest_of_block(block: pa.Table) -> str:
    """The digest of what was read of the unit; empty where none was taken."""
    return block[DIGEST][0].as_py() if DIGEST in block.column_names and block.num_rows else ""


def first_draws_of(block: pa.Table, name: str) -> pa.Array:
    """The draw that each row begins with for a label: the first one, unless the block is that of a retry."""
    column = of_query(FIRST_DRAW, name)
    if column in block.column_names:
        return block[column].combine_chunks()
    return pa.array([0] * block.num_rows, pa.int32())


def pack_tensors(rows: Sequence[dict[str, np.ndarray]]) -> pa.Array:
    """Each row's tensors as one safetensors buffer; null for a row without any."""
    return pa.array([save(_contiguous(row)) if row else None for row in rows], pa.large_binary())


def unpack_tensors(value: bytes | None) -> dict[str, np.ndarray]:
    """The tensors of one row."""
    return load(value) if value is not None else {}


def _contiguous(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
