"""Which row of a unit kills its process: what is known after each death, and what is tried next. Plain Python.

A process that is gone tells nothing but what it had begun. After two deaths the rows of the unit are tried in groups,
and the group in which a process died is cut into groups of its own, down to one row: of 1,024 rows in two more deaths.
A row is poison when it died alone twice while others lived. Where all die alike the machine is at fault, not the rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

NUM_WHOLE = 2
"""Deaths before the rows are told apart: one may be anyone's, by a preempted machine or a unit beside this one."""
NUM_GROUPS = 32
NUM_ALONE = 2
"""Deaths of a row alone that prove it: one may again be the machine's."""
NUM_OUTSIDE = 2
"""Deaths with no group begun, once there are groups: the file or the block as a whole is at fault."""
NUM_LIFELESS = 10
"""Deaths with nothing that ever lived beside them: the machine is at fault."""
MAX_DEATHS = 24
"""Of one unit, then it is given up: some 6 poison rows."""

Group = tuple[int, ...]


class PoisonSearch:
    """The rows of one unit in one stage, by their places in it."""

    def __init__(self, num_rows: int) -> None:
        self.num_deaths = 0
        self.poison: set[int] = set()
        self.is_given_up = False
        self.is_lifeless = False
        """Given up, and nothing ever lived in it or beside it."""
        self._num_rows = num_rows
        self._groups: list[Group] | None = None
        """All rows but those of `poison`, in the order in which they are tried; None while they are not told apart."""
        self._trying: Group | None = None
        self._has_lived = False
        self._num_alone: Counter[int] = Counter()
        self._num_outside = 0

    @property
    def groups(self) -> Sequence[Group]:
        """The rows that are left, as they are to be tried: those of a group together, one group after the other."""
        return [tuple(range(self._num_rows))] if self._groups is None else self._groups

    @property
    def are_apart(self) -> bool:
        """Whether it must be told which group is tried."""
        return self._groups is not None

    def tries(self, at: int) -> None:
        """The group at this place is begun: the process lived through those before it."""
        self._has_lived |= self._trying is not None
        self._trying = self.groups[at]

    def died(self, *, others_lived: bool) -> None:
        """The process ended with the unit in it. `others_lived`: units that ended since its first death."""
        self.num_deaths += 1
        group, self._trying = self._trying, None
        if self._groups is None:
            if self.num_deaths >= NUM_WHOLE:
                self._groups = _cut(tuple(range(self._num_rows)))
        elif group is None:
            self._num_outside += 1
        else:
            self._accuse(group, self._has_lived or others_lived)
        has_lived = self._has_lived or others_lived
        self.is_lifeless = not has_lived and self.num_deaths >= NUM_LIFELESS
        self.is_given_up = self.is_lifeless or self.num_deaths >= MAX_DEATHS or self._num_outside >= NUM_OUTSIDE

    def ended(self) -> None:
        """The unit is done. Its poison is remembered, in case that the block is lost and made again."""
        self.num_deaths = self._num_outside = 0
        self._trying = None

    def _accuse(self, group: Group, has_lived: bool) -> None:
        others = [one for one in self._groups or () if one != group]
        row, *more = group
        if more:
            self._groups = [*_cut(group), *others]
            return
        if not has_lived:
            self._groups = [*others, group]  # the next row shows whether anything can live here
            return
        self._num_alone[row] += 1
        if self._num_alone[row] >= NUM_ALONE:
            self.poison.add(row)
            self._groups = others
        else:
            self._groups = [group, *others]


def _cut(rows: Group) -> list[Group]:
    """Up to NUM_GROUPS groups of nearly the same size."""
    size = -(-len(rows) // NUM_GROUPS)
    return [rows[first : first + size] for first in range(0, len(rows), size)]
