"""In which stage the units under way are, and which of them wait for it. Sets of names; knows nothing of units or Ray.

Whoever counts attempts is told of each anyway, so that it costs no question. A unit that is given up is nowhere.
"""

from __future__ import annotations

from collections import Counter

STAGES = ("reading", "generating", "publishing")
"""In the order in which a unit goes through them."""
PLACES = ("waiting", "working")


class Whereabouts:
    """Follows units by the names of their parts."""

    def __init__(self) -> None:
        self._at: dict[str, tuple[str, str]] = {}
        """Of each unit under way the stage, and whether it waits for it."""
        self._counts: Counter[tuple[str, str]] = Counter()

    @property
    def counts(self) -> dict[tuple[str, str], int]:
        """How many units are where."""
        return {place: number for place, number in self._counts.items() if number}

    def begin(self, stage: str, part: str) -> None:
        """A stage works on a unit, whether for the first time or again."""
        self._put(part, (stage, "working"))

    def end(self, stage: str, part: str) -> None:
        """A stage is done with a unit: the next one has it before it. Said late, it is passed over."""
        if self._at.get(part) != (stage, "working"):
            return  # the next stage has begun by now, or has even ended
        after = STAGES.index(stage) + 1
        self._put(part, (STAGES[after], "waiting") if after < len(STAGES) else None)

    def leave(self, part: str) -> None:
        """Nothing is done with the unit any more."""
        self._put(part, None)

    def _put(self, part: str, place: tuple[str, str] | None) -> None:
        if (before := self._at.pop(part, None)) is not None:
            self._counts[before] -= 1
        if place is not None:
            self._at[part] = place
            self._counts[place] += 1
