"""An output as a few Parquet files of a size that the hub likes, made one after the other. Knows no hub."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from relabel.data.exports.chosen import ChosenRows
from relabel.data.exports.parquet import GROUP_BYTES, RowGroups

SHARD_BYTES = 500 * 10**6
"""Of rows in memory, before which no file ends: as Parquet some 100 to 500 MB."""


def shards_of(chosen: ChosenRows, folder: Path, shard_bytes: int = SHARD_BYTES) -> Iterator[Path]:
    """The rows in the order of the source, as files in the folder; each may be deleted before the next is asked for."""
    number, groups = 0, None
    for unit in chosen.each():
        groups = groups or _begin(chosen, folder, number, shard_bytes)
        groups.add(unit.rows)
        if groups.num_bytes >= shard_bytes:
            groups.close()
            yield folder / _name(number)
            number, groups = number + 1, None
    if groups is not None or number == 0:
        (groups or _begin(chosen, folder, number, shard_bytes)).close()
        yield folder / _name(number)


def _begin(chosen: ChosenRows, folder: Path, number: int, shard_bytes: int) -> RowGroups:
    return RowGroups(folder / _name(number), chosen.schema, min(GROUP_BYTES, shard_bytes))


def _name(number: int) -> str:
    return f"labels-{number:05d}.parquet"
