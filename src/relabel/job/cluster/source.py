"""Where the graph begins: a task for each chunk of handfuls, which waits for its turn and gives a block for each.

A task of a handful's own would cost the driver a millisecond and 4 KB of each before the first row.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial

import pyarrow as pa
from ray.data.block import BlockMetadata
from ray.data.datasource import Datasource, ReadTask

from relabel.data.sources.unit import Unit
from relabel.job.cluster.beside import Beside
from relabel.job.stream.rows import rows_of, text_of_handful
from relabel.job.stream.window import CHUNK, chunks


class Units(Datasource):
    """Chunks of handfuls in order; each becomes a block of one row, see `relabel.job.stream.rows`."""

    def __init__(self, units: Sequence[Unit], beside: Beside, *, together: int) -> None:
        super().__init__()
        self._units, self._beside, self._together = units, beside, together

    @property
    def num_blocks(self) -> int:
        """What Ray Data must be asked for: it cuts the rows of each task into this number by that of the tasks."""
        return CHUNK * len(list(chunks(self.num_handfuls)))

    @property
    def num_handfuls(self) -> int:
        return -(-len(self._units) // self._together)

    def estimate_inmemory_data_size(self) -> int | None:
        return None

    def get_read_tasks(self, parallelism: int, *_: object, **__: object) -> list[ReadTask]:
        size = BlockMetadata(num_rows=None, size_bytes=None, input_files=None, exec_stats=None)
        together = self._together
        return [
            ReadTask(
                partial(
                    _hand_out,
                    places.start,
                    self._units[places.start * together : places.stop * together],
                    together,
                    self._beside,
                ),
                size,
            )
            for places in chunks(self.num_handfuls)
        ]


def _hand_out(place: int, units: Sequence[Unit], together: int, beside: Beside) -> list[pa.Table]:
    try:
        beside.pass_gate(place)
        return [rows_of([text_of_handful(units[at : at + together]) for at in range(0, len(units), together)])]
    except KeyboardInterrupt:
        # Ray cancels what a run that ended left waiting, and gives the process to the next run; an import that was cut
        # off would fail there ever after
        os._exit(1)
