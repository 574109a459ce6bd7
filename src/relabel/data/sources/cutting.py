"""How the rows of a file are cut into units. Integers only: knows nothing of files' contents."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import cast, overload

from relabel.data.sources.unit import SourceFile, Unit

Range = tuple[int, int, int]
"""First row, number of rows and offset of a unit."""


class Cut(Sequence[Unit]):
    """The units of one file in order, in 24 bytes each: a unit is made whenever it is looked at."""

    __slots__ = ("_first_rows", "_num_rows", "_offsets", "file")

    def __init__(self, file: SourceFile, ranges: Iterable[Range]) -> None:
        self.file = file
        self._first_rows, self._num_rows, self._offsets = array("q"), array("q"), array("q")
        for first_row, num_rows, offset in ranges:
            self._first_rows.append(first_row)
            self._num_rows.append(num_rows)
            self._offsets.append(offset)

    def at(self, file: SourceFile) -> Cut:
        """The same units of the file as it is now."""
        same = Cut(file, ())
        same._first_rows, same._num_rows, same._offsets = self._first_rows, self._num_rows, self._offsets
        return same

    def some(self, indices: Iterable[int]) -> Cut:
        """Only these units, numbered anew."""
        return Cut(self.file, ((self._first_rows[at], self._num_rows[at], self._offsets[at]) for at in indices))

    @property
    def num_rows(self) -> int:
        """Of all units together."""
        return sum(self._num_rows)

    def num_rows_of(self, index: int) -> int:
        """Of one of them."""
        return self._num_rows[index]

    @property
    def ranges(self) -> Iterator[Range]:
        """First row, number of rows and offset of each unit."""
        return zip(self._first_rows, self._num_rows, self._offsets, strict=True)

    def is_like(self, other: Cut) -> bool:
        """Whether the units are the same, of whatever file."""
        return self._offsets == other._offsets and self.has_rows_of(other)

    def has_rows_of(self, other: Cut) -> bool:
        """Whether both have the same rows in the same units, wherever in the file they begin."""
        return (self._first_rows, self._num_rows) == (other._first_rows, other._num_rows)

    def __len__(self) -> int:
        return len(self._num_rows)

    @overload
    def __getitem__(self, at: int) -> Unit: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Unit, ...]: ...
    def __getitem__(self, at: int | slice) -> Unit | tuple[Unit, ...]:
        if isinstance(at, slice):
            return tuple(self[index] for index in range(*at.indices(len(self))))
        index = range(len(self))[at]
        return Unit(
            file=self.file,
            index=index,
            first_row=self._first_rows[index],
            num_rows=self._num_rows[index],
            offset=self._offsets[index],
        )

    def __iter__(self) -> Iterator[Unit]:
        for index, (first_row, num_rows, offset) in enumerate(self.ranges):
            yield Unit(file=self.file, index=index, first_row=first_row, num_rows=num_rows, offset=offset)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Cut):
            return self.file == other.file and self.is_like(other)
        return isinstance(other, Sequence) and tuple(self) == tuple(cast("Sequence[object]", other))


def cut_rows(file: SourceFile, offsets: Iterable[int], unit_rows: int) -> Cut:
    """Units of `unit_rows` rows, the last one shorter, from the byte at which each row begins."""
    starts, num_rows = array("q"), 0
    for offset in offsets:
        if num_rows % unit_rows == 0:
            starts.append(offset)
        num_rows += 1
    firsts = range(0, num_rows, unit_rows)
    return Cut(
        file, ((first, min(unit_rows, num_rows - first), start) for first, start in zip(firsts, starts, strict=True))
    )


def cut_groups(file: SourceFile, group_rows: Iterable[int], unit_rows: int) -> Cut:
    """Units that follow row groups: small neighbours go together, groups of over two units are cut, others stay."""
    return Cut(file, ((first, num_rows, 0) for first, num_rows in _ranges(group_rows, unit_rows)))


def cut_as_before(units: Cut, before: Cut, unit_rows: int) -> Cut:
    """The units of a file that was written anew, cut where its units were, as far as it has those rows.

    A unit whose rows read the same is then the same unit, whatever row groups they lie in now. Where a unit begins at
    a byte, nothing is known of other rows' bytes: such a file stays cut as it is.
    """
    if any(offset for _, _, offset in units.ranges) or not before:
        return units
    kept = [(first, num_rows) for first, num_rows, _ in before.ranges if first + num_rows <= units.num_rows]
    if units.num_rows > before.num_rows and kept and kept[-1][1] < unit_rows:
        kept.pop()  # or a file that grows by a row a night would have a unit a night
    start = sum(num_rows for _, num_rows in kept)
    for first, num_rows, _ in units.ranges:
        if (end := first + num_rows) > start:
            begins = max(first, start)
            kept.append((begins, end - begins))
    return Cut(units.file, ((first, num_rows, 0) for first, num_rows in kept))


def _ranges(group_rows: Iterable[int], unit_rows: int) -> Iterator[tuple[int, int]]:
    first = pending = 0
    for num_rows in group_rows:
        if pending and pending + num_rows > unit_rows:
            yield first, pending
            first, pending = first + pending, 0
        pending += num_rows
        while num_rows > 2 * unit_rows and pending:
            size = min(unit_rows, pending)
            yield first, size
            first, pending = first + size, pending - size
    if pending:
        yield first, pending
