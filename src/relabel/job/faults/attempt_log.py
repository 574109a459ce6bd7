"""What an attempt at a unit needs of whoever counts. A contract: knows neither Ray nor where the counts are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from relabel.job.faults.poison_search import PoisonSearch

Counted = tuple[str, str, int]
"""File, part and number of rows of a unit."""


class AttemptLog(Protocol):
    """Who counts the attempts at units, by stage and part: `DeathCounter`, or one in another process."""

    def begin(self, stage: str, file: str, part: str, num_rows: int) -> PoisonSearch | str:
        """Open an attempt: what is known of the rows, or why there is none."""
        ...

    def begin_each(self, stage: str, units: Sequence[Counted]) -> list[PoisonSearch | str]:
        """Open attempts at units that could take each other along: none at one that a process has died with."""
        ...

    def tries(self, stage: str, part: str, at: int, num_deaths: int) -> None:
        """The group of rows at this place is begun, by the attempt that began after so many deaths."""
        ...

    def end(self, stage: str, file: str, part: str) -> None:
        """Close the attempts at a unit: its process lived."""
        ...
