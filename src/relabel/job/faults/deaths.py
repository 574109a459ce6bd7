"""How often a unit was begun and not ended: the bound on rows, files and machines that kill processes.

Ray restarts a dead actor and repeats its task without limit, so such a row would be tried for ever. A stage asks before
it begins, and the poison search finds the row. A unit that cannot be saved fails by name, and the others go on. The
counts live as long as the run: the next run tries such a unit again. Knows nothing of Ray.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from math import inf

from relabel.job.faults.attempt_log import Counted
from relabel.job.faults.poison_search import PoisonSearch

MAX_GIVEN_UP = 3
"""Units of a file that are given up while none of it ends: then the file is at fault, and its others are not tried.
Units in which nothing lived, of any files, while none ends: then the machine is at fault, and nothing more is tried."""
MAX_FILES = 10
"""Files with units that are given up while none ends: then the machine is at fault, too."""
CAUSES = ("device", "deadline", "other")
"""Why a process died, as far as it can be told: it said that it lost its device, or had a unit for the deadline."""


class DeathCounter:
    """Counts begun and ended attempts by (stage, part)."""

    def __init__(self, deadline: float = inf, *, clock: Callable[[], float] = time.monotonic) -> None:
        """`deadline`: seconds after which a process that hangs is ended, by which its deaths are told from others."""
        self.deaths: Counter[tuple[str, str]] = Counter()
        """Attempts that ended with their process, by stage."""
        self._deadline, self._clock = deadline, clock
        self._begun_at: dict[tuple[str, str], float] = {}
        """When the attempts were opened that are under way."""
        self._lost = set[tuple[str, str]]()
        """Those whose process said that its device is lost."""
        self._searches: dict[tuple[str, str], PoisonSearch] = {}
        """Of units that are under way, or have poison."""
        self._open: dict[tuple[str, str], int] = {}
        """How many units of the stage had ended when the first attempt began that has not ended."""
        self._under_way = set[tuple[str, str]]()
        """Units whose last attempt was opened and has not ended, so far as anybody knows."""
        self._num_ended: Counter[str] = Counter()
        self._num_given_up: Counter[tuple[str, str]] = Counter()
        """By stage and file, since a unit of the two ended."""
        self._num_lifeless: Counter[str] = Counter()
        """Those in which nothing lived, since a unit of the stage ended."""
        self._files: defaultdict[str, set[str]] = defaultdict(set)
        """Those with units that were given up since a unit of the stage ended."""

    def begin(self, stage: str, file: str, part: str, num_rows: int, *, in_company: bool = False) -> PoisonSearch | str:
        """Open an attempt: how it goes, or why there is none.

        `in_company` of units that it could take along: none is opened at one that a process has died with.
        """
        key = stage, part
        search = self._searches.setdefault(key, PoisonSearch(num_rows))
        if key in self._under_way:
            self._under_way.remove(key)
            self.deaths[stage, self._cause(key)] += 1
            search.died(others_lived=self._num_ended[stage] > self._open[key])
        if search.is_given_up:
            self._num_given_up[stage, file] += 1
            self._num_lifeless[stage] += search.is_lifeless
            self._files[stage].add(file)
            return f"the {stage} process died {search.num_deaths} times on it; it was given up"
        if self._num_lifeless[stage] >= MAX_GIVEN_UP or len(self._files[stage]) >= MAX_FILES:
            return f"whatever was tried last killed its {stage} process and nothing lived: it was not tried"
        if self._num_given_up[stage, file] >= MAX_GIVEN_UP:
            return f"{MAX_GIVEN_UP} others of the file killed their {stage} processes: it was not tried"
        if not (in_company and search.num_deaths):
            self._open.setdefault(key, self._num_ended[stage])
            self._under_way.add(key)
            self._begun_at[key] = self._clock()
        return search

    def begin_each(self, stage: str, units: Sequence[Counted]) -> list[PoisonSearch | str]:
        """Open attempts at units that could take each other along: none at one that a process has died with."""
        return [self.begin(stage, *unit, in_company=True) for unit in units]

    def tries(self, stage: str, part: str, at: int, num_deaths: int) -> None:
        """A group of the unit is begun, by the attempt that began after so many deaths: what others say is late."""
        search = self._searches.get((stage, part))
        if search and search.num_deaths == num_deaths:
            search.tries(at)

    def lose_device(self, stage: str, parts: Sequence[str]) -> None:
        """The process that has these units ends itself, because its device is lost."""
        self._lost.update((stage, part) for part in parts)

    def end(self, stage: str, file: str, part: str) -> None:
        """Close the attempts of a unit: its process lived. Two may end one, where Ray took the first for dead."""
        self._open.pop((stage, part), None)
        self._under_way.discard((stage, part))
        self._begun_at.pop((stage, part), None)
        self._num_ended[stage] += 1
        self._num_given_up[stage, file] = self._num_lifeless[stage] = 0
        self._files[stage].clear()
        if search := self._searches.get((stage, part)):
            search.ended()
            if not search.poison:
                del self._searches[stage, part]

    def _cause(self, key: tuple[str, str]) -> str:
        lasted = self._clock() - self._begun_at.pop(key)
        if key in self._lost:
            self._lost.remove(key)
            return "device"
        return "deadline" if lasted >= self._deadline else "other"
