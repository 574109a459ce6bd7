"""Which unit a second engine is given at the end of a run: one that is generated for longer than most took.

Plain Python over names of parts and a clock; knows neither engines nor Ray. Whoever has a unit for long offers it,
whoever has nothing to do takes it, once, and the first of the two that publishes it wins.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from statistics import median
from typing import Generic, TypeVar

LONGER = 2.0
"""Times the median of the units before: then a unit is generated for long."""
FEWEST_KNOWN, MOST_KNOWN = 3, 256
"""Units that the median is of, the last ones."""

Block = TypeVar("Block")


class Tail(Generic[Block]):
    """Follows units while they are generated; `Block` is what a copy is made from."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begun: dict[str, float] = {}
        self._took = deque[float](maxlen=MOST_KNOWN)
        self._offered: dict[str, Block] = {}
        self._taken = set[str]()
        self._made: dict[str, str] = {}
        self.num_begun = 0
        """Copies that somebody took."""
        self.num_first = 0
        """Those of them that were published before the unit itself was generated."""

    def begin(self, part: str) -> None:
        """A unit begins to be generated, or begins again: then its process died, and nobody else is given it."""
        if part in self._begun:
            self._taken.add(part)
        self._begun[part] = self._clock()

    def end(self, part: str) -> None:
        """It is generated, or is not any more."""
        self._offered.pop(part, None)
        self._taken.discard(part)
        if (begun := self._begun.pop(part, None)) is not None and self._made.pop(part, None) is None:
            self._took.append(self._clock() - begun)

    def wanted(self, parts: Sequence[str]) -> list[str]:
        """Those of these units that are generated for long, and that nobody has offered."""
        if len(self._took) < FEWEST_KNOWN:
            return []
        latest = self._clock() - LONGER * median(self._took)
        known = self._offered.keys() | self._taken
        return [part for part in parts if part not in known and self._begun.get(part, latest) < latest]

    def offer(self, part: str, block: Block) -> None:
        """Let somebody else have it, too."""
        if part in self._begun and part not in self._taken:
            self._offered[part] = block

    def take(self) -> tuple[str, Block] | None:
        """The unit that is generated for longest of those that are offered; None where there is none."""
        if not self._offered:
            return None
        part = min(self._offered, key=self._begun.__getitem__)
        self._taken.add(part)
        self.num_begun += 1
        return part, self._offered.pop(part)

    def made(self, part: str, receipt: str) -> None:
        """The copy of a unit is published; nothing where the unit itself was faster, or where it was told before."""
        if part in self._begun and part not in self._made:
            self._made[part] = receipt
            self.num_first += 1

    def receipts(self, parts: Sequence[str]) -> dict[str, str]:
        """Of these units those whose copy is published."""
        return {part: self._made[part] for part in parts if part in self._made}
