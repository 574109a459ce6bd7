"""The figures of many parts in groups, so that where one part changes the stamps of its group alone are read again.

A group holds of the distinct labels only those hashes that the sample of the whole run can need: the smallest ones.
Knows numbers of groups, not which parts are in them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from relabel.data.quality.distinct import ALL, NUM_OF_RUN
from relabel.data.quality.figures import Quality
from relabel.data.quality.hashes import Hashes
from relabel.data.quality.merge import merge

GROUP_PARTS = 256
"""Parts of a group: their figures, some 5 KB each in memory, are held one by one until it is full."""
NUM_KEPT = NUM_OF_RUN * 5 // 4
"""Hashes that are kept of a label over all groups: the sample of a run stays exact until a fifth of them is gone."""
MOST_HASHES = 4 * NUM_OF_RUN
"""Hashes of a label in all groups together, each counted in every group that has it, before they are made fewer."""

Figures = Mapping[str, Quality]
"""Of each label by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The figures of some parts together."""

    num_parts: int
    figures: Figures


class Groups:
    """Groups by number. Those that parts are added to have new numbers; `kept` tells which of them became one."""

    def __init__(self, groups: Sequence[Group] = (), below: Mapping[str, int] = {}) -> None:
        """`below`: of each label whose hashes were made fewer, the smallest that was left out."""
        self._groups: dict[tuple[int, ...], Group] = {(number,): group for number, group in enumerate(groups)}
        self._waiting: list[Figures] = []
        self._alone: list[Group] = []
        self._next = len(groups)
        self._below = dict(below)
        self._most = MOST_HASHES

    def add(self, figures: Figures) -> int:
        """Take in the figures of one part; the number of the group that it is in."""
        self._waiting.append(figures)
        number = self._next
        if len(self._waiting) == GROUP_PARTS:
            self._seal()
        return number

    def add_alone(self, figures: Figures) -> None:
        """Take in the figures of a part that is to be in no group: they are in the total alone."""
        self._alone.append(Group(num_parts=1, figures=figures))
        if len(self._alone) == GROUP_PARTS:
            self._alone = [_joined(self._alone)]

    def clear(self) -> None:
        """Leave out all groups."""
        self._groups.clear()
        self._waiting.clear()
        self._below.clear()

    def drop(self, numbers: Iterable[int]) -> None:
        """Leave out whole groups, by the numbers they were given."""
        for number in numbers:
            self._groups.pop((number,))

    def total(self) -> dict[str, Quality] | None:
        """The figures of all parts, or None where hashes that were left out are missing now."""
        self._seal()
        total = _joined([*self._groups.values(), *self._alone]).figures
        # A sample ends below the first hash that it leaves out: here that was left out before.
        if any(total[name].distinct.below >= below for name, below in self._below.items() if name in total):
            return None
        return dict(total)

    def kept(self) -> tuple[dict[int, int], list[Group], dict[str, int]]:
        """What number each group has now, the groups in that order, and `below`: for the next time."""
        self._seal()
        self._combine(GROUP_PARTS)
        self._lessen(NUM_KEPT)
        numbers = {old: new for new, olds in enumerate(self._groups) for old in olds}
        return numbers, list(self._groups.values()), dict(self._below)

    def _seal(self) -> None:
        """Make one group of the parts that wait."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        self._groups[(self._next,)] = _joined([Group(num_parts=1, figures=one) for one in waiting], self._below)
        self._next += 1
        if self._num_hashes() > self._most:
            self._lessen(NUM_KEPT)
            self._most = max(MOST_HASHES, 2 * self._num_hashes())

    def _lessen(self, most: int) -> None:
        """Leave out the hashes beyond the smallest; where labels are in most groups, make groups fewer, too."""
        names = {name for group in self._groups.values() for name in group.figures}
        for name in names:
            parts = (group.figures[name].distinct.parts for group in self._groups.values() if name in group.figures)
            hashes = Hashes.together(parts).hashes
            if len(hashes) > most:
                self._below[name] = int(hashes[most])
        self._groups = {numbers: _joined([group], self._below) for numbers, group in self._groups.items()}
        size = GROUP_PARTS
        while self._num_hashes() > MOST_HASHES and len(self._groups) > 1:
            size *= 2
            self._combine(size)

    def _combine(self, size: int) -> None:
        """Make groups that follow each other one, up to so many parts."""
        runs: list[list[tuple[int, ...]]] = []
        num_parts = size
        for numbers, group in self._groups.items():
            num_parts += group.num_parts
            if num_parts > size:
                runs.append([])
                num_parts = group.num_parts
            runs[-1].append(numbers)
        self._groups = {
            tuple(number for numbers in run for number in numbers): _joined([self._groups[numbers] for numbers in run])
            for run in runs
        }

    def _num_hashes(self) -> int:
        """Of the label that has most."""
        counts: dict[str, int] = {}
        for group in self._groups.values():
            for name, quality in group.figures.items():
                counts[name] = counts.get(name, 0) + len(quality.distinct.parts)
        return max(counts.values(), default=0)


def _joined(groups: Sequence[Group], below: Mapping[str, int] = {}) -> Group:
    names = sorted({name for group in groups for name in group.figures})
    return Group(
        num_parts=sum(group.num_parts for group in groups),
        figures={
            name: merge((group.figures[name] for group in groups if name in group.figures), below.get(name, ALL))
            for name in names
        },
    )
