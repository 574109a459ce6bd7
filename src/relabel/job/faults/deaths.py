"""How often a unit was begun and not ended: the bound on rows, files and machines that kill processes.

Ray restarts a dead actor and repeats its task without limit, so such a row would be tried for ever. A stage asks before
it begins, and the poison search finds the row. A unit that cannot be saved fails by name, and the others go on. The
counts live as long as the run: the next run tries such a unit again. Knows nothing of Ray.
"""

from __future__ import annotations

from collections import Counter, defaultdict

from relabel.job.faults.poison_search import Suspects

MAX_GIVEN_UP = 3
"""Units of a file that are given up while none of it ends: then the file is at fault, and its others are not tried.
Units in which nothing lived, of any files, while none ends: then the machine is at fault, and nothing more is tried."""
MAX_FILES = 10
"""Files with units that are given up while none ends: then the machine is at fault, too."""


class Attempts:
    """Counts begun and ended attempts by (stage, part)."""

    def __init__(self) -> None:
        self._suspects: dict[tuple[str, str], Suspects] = {}
        """Of units that are under way, or have poison."""
        self._open: dict[tuple[str, str], int] = {}
        """How many units of the stage had ended when the attempt that is under way was the first."""
        self._num_ended: Counter[str] = Counter()
        self._num_given_up: Counter[tuple[str, str]] = Counter()
        """By stage and file, since a unit of the two ended."""
        self._num_lifeless: Counter[str] = Counter()
        """Those in which nothing lived, since a unit of the stage ended."""
        self._files: defaultdict[str, set[str]] = defaultdict(set)
        """Those with units that were given up since a unit of the stage ended."""

    def begin(self, stage: str, file: str, part: str, num_rows: int) -> Suspects | str:
        """Open an attempt: how it goes, or why there is none."""
        key = stage, part
        suspects = self._suspects.setdefault(key, Suspects(num_rows))
        if key in self._open:
            suspects.died(others_lived=self._num_ended[stage] > self._open[key])
        if suspects.is_given_up:
            self._num_given_up[stage, file] += 1
            self._num_lifeless[stage] += suspects.is_lifeless
            self._files[stage].add(file)
            return f"the {stage} process died {suspects.num_deaths} times on it; it was given up"
        if self._num_lifeless[stage] >= MAX_GIVEN_UP or len(self._files[stage]) >= MAX_FILES:
            return f"whatever was tried last killed its {stage} process and nothing lived: it was not tried"
        if self._num_given_up[stage, file] >= MAX_GIVEN_UP:
            return f"{MAX_GIVEN_UP} others of the file killed their {stage} processes: it was not tried"
        self._open.setdefault(key, self._num_ended[stage])
        return suspects

    def tries(self, stage: str, part: str, at: int, num_deaths: int) -> None:
        """A group of the unit is begun, by the attempt that began after so many deaths: what others say is late."""
        suspects = self._suspects.get((stage, part))
        if suspects and suspects.num_deaths == num_deaths:
            suspects.tries(at)

    def deaths(self, stage: str, part: str) -> int:
        """How many attempts at a unit never ended so far."""
        suspects = self._suspects.get((stage, part))
        return 0 if suspects is None else suspects.num_deaths + ((stage, part) in self._open)

    def end(self, stage: str, file: str, part: str) -> None:
        """Close the attempts of a unit: its process lived. Two may end one, where Ray took the first for dead."""
        self._open.pop((stage, part), None)
        self._num_ended[stage] += 1
        self._num_given_up[stage, file] = self._num_lifeless[stage] = 0
        self._files[stage].clear()
        if suspects := self._suspects.get((stage, part)):
            suspects.ended()
            if not suspects.poison:
                del self._suspects[stage, part]
