"""Which blocks of the KV cache are free, and which one a row takes. Plain integers; knows nothing of tokens."""

from __future__ import annotations

from collections.abc import Iterable

from relabel.engine.scheduling.step import Layout, home


class Blocks:
    """The blocks that rows hold, and those that are free, of which there may be very many."""

    def __init__(self, layout: Layout) -> None:
        self._num_slots, self._num_blocks = layout.num_slots, layout.num_blocks
        self._taken: set[int] = set()
        self._top = layout.num_blocks
        """Free blocks below it have never been looked for."""
        self._returned: dict[int, None] = {}
        """Those at the top and above that are free, the one that was given back last at the end."""

    @property
    def num_free(self) -> int:
        return self._num_blocks - len(self._taken)

    def take(self, slot: int, index: int) -> int:
        """The block at this index of the row in a slot: its home, else one that is far from the homes of others."""
        block = home(slot, index, self._num_slots)
        if block >= self._num_blocks or block in self._taken:
            block = self._returned.popitem()[0] if self._returned else self._next_from_top()
        self._returned.pop(block, None)
        self._taken.add(block)
        return block

    def give_back(self, blocks: Iterable[int]) -> None:
        """Their row needs them no longer."""
        for block in blocks:
            self._taken.remove(block)
            if block >= self._top:
                self._returned[block] = None

    def _next_from_top(self) -> int:
        self._top -= 1
        while self._top in self._taken:
            self._top -= 1
        return self._top
