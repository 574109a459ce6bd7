"""`_ledger/`: what the parts said of themselves when they were last read, and the version of each that said so.

A cache: one that is lost, damaged, old or another output's costs time and nothing else, because a row of it counts only
where the store still lists that version of the part. Knows stamps, not plans.
"""

# pyarrow has no types, so that nothing that comes from it has one.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false, reportUnknownLambdaType=false
from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
import pyarrow as pa
from pydantic import StrictInt, StrictStr, TypeAdapter

from relabel.data.quality.figures import Quality
from relabel.data.quality.groups import Group
from relabel.data.store.objects import Listed
from relabel.data.store.stamp import Stamp
from relabel.data.store.store import Store
from relabel.errors import PartDamaged, StoreFailed

log = logging.getLogger("relabel")

LEDGER = "_ledger/parts"
"""Not among the documents: those are text."""
ALONE = -1
"""The number of the group of a part whose quality is in none."""
_FORMAT = 1
_ROW_BYTES, _FIGURES_BYTES = 1024, 64 * 2**20
"""More than a part and the figures of all groups ever take: a ledger beyond that is somebody else's."""
_TEXTS = ("part", "e_tag", "fingerprint", "source_file", "source_version", "reasons", "digest")
_NUMBERS = ("size", "modified", "source_size", "unit", "first_row", "num_rows", "ok", "rejected", "group")
_SCHEMA = pa.schema([*((name, pa.string()) for name in _TEXTS), *((name, pa.int64()) for name in _NUMBERS)])
_NO_ROWS = pa.Table.from_batches([], _SCHEMA)
"""Not made by `empty_table()` nor of empty arrays: those import pandas, which takes 0.2 s."""
_BATCH_ROWS = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """Rows are those of `rows_of`; the quality of parts is in groups, by the number in the column `group`."""

    rows: pa.Table
    groups: tuple[Group, ...]
    below: Mapping[str, int]
    """See Groups."""


_NONE = Ledger(rows=_NO_ROWS, groups=(), below={})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """A group as it stands in JSON."""

    num_parts: StrictInt
    figures: dict[StrictStr, Quality]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Note:
    """What stands beside the rows."""

    format: Literal[1]
    groups: tuple[_Group, ...]
    below: dict[StrictStr, StrictInt]


_NOTE = TypeAdapter(_Note)
_REASONS = TypeAdapter(dict[StrictStr, StrictInt])


def read_ledger(store: Store, num_parts: int) -> Ledger:
    """The ledger of an output with so many parts; an empty one where there is none that can be used."""
    try:
        found = store.read_table(LEDGER, _SCHEMA, _FIGURES_BYTES + _ROW_BYTES * num_parts)
        return _NONE if found is None else _checked(*found)
    except (PartDamaged, StoreFailed, ValueError, RecursionError) as error:
        log.info("%s/%s is not used, and parts are read instead: %s", store.url, LEDGER, error)
        return _NONE


def write_ledger(store: Store, ledger: Ledger) -> None:
    """Write it over whatever is there."""
    groups = [
        {"num_parts": group.num_parts, "figures": {name: one.to_json() for name, one in group.figures.items()}}
        for group in ledger.groups
    ]
    note = {"format": _FORMAT, "groups": groups, "below": dict(ledger.below)}
    store.put_table(LEDGER, ledger.rows, note, plain=("part", "e_tag", "digest"))


def rows_of(parts: list[tuple[str, Listed, Stamp, int]]) -> pa.Table:
    """The rows of parts: name, version, stamp without its quality, number of the group."""
    rows = [
        (
            *(part, listed.e_tag, stamp.fingerprint, stamp.source_file, stamp.source_version),
            *(json.dumps(stamp.reasons) if stamp.reasons else "{}", stamp.digest),
            *(listed.size, listed.modified, stamp.source_size, stamp.unit, stamp.first_row, stamp.num_rows),
            *(stamp.ok, stamp.rejected, group),
        )
        for part, listed, stamp, group in parts
    ]
    if not rows:
        return _NO_ROWS
    columns = zip(*rows, strict=True)
    return pa.table([pa.array(values, field.type) for values, field in zip(columns, _SCHEMA, strict=True)], _SCHEMA)


def parts_in(rows: pa.Table) -> Iterator[tuple[str, Listed, Stamp, int]]:
    """The parts that `rows_of` was given."""
    known: dict[str, dict[str, int]] = {}
    for batch in rows.to_batches(_BATCH_ROWS):
        columns = [batch.column(name).to_pylist() for name in (*_TEXTS, *_NUMBERS)]
        for part, e_tag, fingerprint, file, version, text, digest, size, modified, *numbers, group in zip(
            *columns, strict=True
        ):
            source_size, unit, first_row, num_rows, ok, rejected = numbers
            if (reasons := known.get(text)) is None:
                reasons = known[text] = _REASONS.validate_json(text)
            stamp = Stamp(
                fingerprint=fingerprint,
                source_file=file,
                source_size=source_size,
                source_version=version,
                unit=unit,
                first_row=first_row,
                num_rows=num_rows,
                ok=ok,
                rejected=rejected,
                reasons=reasons,
                quality={},
                digest=digest,
            )
            yield part, Listed(size=size, e_tag=e_tag, modified=modified), stamp, group


def _checked(rows: pa.Table, note: object) -> Ledger:
    """Raises ValueError where the rows and the groups do not go together."""
    found = _NOTE.validate_python(note)
    for text in rows["reasons"].unique().to_pylist():
        _REASONS.validate_json(cast(str, text or ""))
    if any(column.null_count for column in rows.columns) or len(rows["part"].unique()) != len(rows):
        raise ValueError("a value is missing, or a part stands there twice")
    numbers = np.from_dlpack(rows["group"].combine_chunks())  # to_numpy() imports pandas
    counts = np.bincount(numbers[numbers >= 0], minlength=len(found.groups)).tolist()
    if counts != [group.num_parts for group in found.groups] or bool((numbers < ALONE).any()):
        raise ValueError("its groups are not those of its parts")
    groups = tuple(Group(num_parts=group.num_parts, figures=group.figures) for group in found.groups)
    return Ledger(rows=rows, groups=groups, below=found.below)
