"""One file that is made in pieces: each is there whole or not at all, and the same call goes on behind the last one.

The pieces lie in a hidden folder beside the file, and are put together when all are there. Knows rows and bytes; what a
format makes of them is told.
"""

from __future__ import annotations

import logging
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa

from relabel.data.exports.chosen import ChosenRows
from relabel.data.exports.parquet import GROUP_ROWS
from relabel.data.exports.progress import Progress
from relabel.errors import StoreFailed

log = logging.getLogger("relabel")

PIECE_BYTES = 64 * 2**20
"""Of the rows of a piece, in memory: one is written as soon as it has that, or as many rows as a row group."""
MOST_TABLES = 256
"""Of units that wait for their piece: a table of one row takes 15 KB beside its bytes, so more are made one."""
_SUFFIX = ".piece"

Encode = Callable[[pa.Table], bytes]
"""Rows as they stand in a piece."""
Join = Callable[[Iterator[bytes]], None]
"""Writes the file of its pieces, whole or not at all."""


def write_in_pieces(
    chosen: ChosenRows, target: str, what: str, encode: Encode, join: Join, piece_bytes: int
) -> Counter[str]:
    """Write the pieces that are not there yet, put all together, and delete them: rows by status, and `missing` units.

    `what` tells this export from others to the same file. Pieces are of whole units, so that the same rows make the
    same ones, however often it was begun.
    """
    path = target.removeprefix("file://")
    is_local = "://" not in path
    path = str(Path(path).expanduser().absolute()) if is_local else path
    if (
        is_local and not Path(path).parent.is_dir()
    ):  # made by nobody: a disk that is not there is no reason to fill another
        raise StoreFailed(f"cannot write {target}: there is no folder {Path(path).parent}; make it, or mend the path")
    folder, _, name = path.rpartition("/")
    folder = f"{folder}/_{name}.pieces"
    progress = Progress(f"{folder}/rows{_SUFFIX}", what, _SUFFIX)
    is_over = False
    try:
        if not progress.is_complete:
            for rows, next_unit in _pieces(chosen, progress.next[0], piece_bytes):
                counts = Counter[str](rows["status"].to_pylist())
                progress.put(encode(rows), counts, (next_unit, 0), chosen.counts["missing"])
            progress.finish(chosen.counts["missing"])
        join(progress.files())
        is_over = True
    finally:
        if is_over or not progress.num_files:
            _remove(progress)
            if is_local:
                shutil.rmtree(folder, ignore_errors=True)
    return progress.counts


def _remove(progress: Progress) -> None:
    """The file is there, or nothing is: what cannot be deleted does not change that."""
    try:
        progress.remove()
    except StoreFailed as error:
        log.warning("pieces of an export stay: %s", error)


def _pieces(chosen: ChosenRows, first: int, piece_bytes: int) -> Iterator[tuple[pa.Table, int]]:
    """The rows of each piece from a unit on, and the number of the unit with which the next one begins."""
    waiting, num_rows, num_bytes, next_unit = list[pa.Table](), 0, 0, first
    for unit in chosen.each(first):
        next_unit = unit.number + 1
        waiting.append(unit.rows)
        num_rows, num_bytes = num_rows + unit.rows.num_rows, num_bytes + unit.rows.nbytes
        if num_bytes >= piece_bytes or num_rows >= GROUP_ROWS:
            yield pa.concat_tables(waiting), next_unit
            waiting, num_rows, num_bytes = [], 0, 0
        elif len(waiting) == MOST_TABLES:
            waiting = [pa.concat_tables(waiting).combine_chunks()]
    if waiting:
        yield pa.concat_tables(waiting), next_unit
