"""How many units may be under way: they are handed out in chunks, each once enough of the units before it are done.

A chunk waits for a number that only grows, and that its place alone decides. So one that is handed out again, because
its process died, waits for nothing new and gives the same units, and the first chunk that is still due can always go.
Plain Python; knows neither units nor Ray.
"""

from __future__ import annotations

from collections.abc import Iterator

CHUNK = 256
"""Units that are handed out together: each chunk costs the driver a millisecond before the first row, in any job."""
LEAST_AHEAD = 256
"""Units beyond those that are done, however few can be worked on at once: some seconds' work of units of one row."""


def chunks(num_units: int) -> Iterator[range]:
    """The places of the units of each chunk, in order; CHUNK of them in all but the last."""
    return (range(first, min(first + CHUNK, num_units)) for first in range(0, num_units, CHUNK))


def limit(num_done: int, num_slots: int) -> int:
    """The place that the first unit of a chunk must be below. `num_slots`: units that all stages can hold at once."""
    return num_done + max(LEAST_AHEAD, 2 * num_slots)


class Gate:
    """Who may go: asked by those who hand out chunks, opened further by who hears of units that are done."""

    limit = 0

    def open_to(self, limit: int) -> None:
        """Let chunks go that begin below this place; never fewer than before, also where a call comes late."""
        self.limit = max(self.limit, limit)

    def is_open(self, place: int) -> bool:
        """Whether the chunk that begins at this place may go."""
        return place < self.limit
