"""The units of a plan by the names of their parts, and some of them by their places.

Holds a few bytes a unit at most, so that millions of units are little. Knows nothing of stores.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import cast, overload

from relabel.data.sources.cutting import Cut
from relabel.data.sources.unit import Unit, part_of


class Parts(Mapping[str, Unit]):
    """All units by the names of their parts, in order."""

    def __init__(self, cuts: Iterable[Cut]) -> None:
        by_stem = {cut.file.stem: cut for cut in cuts if cut}
        self._cuts, self._numbers = list(by_stem.values()), {stem: number for number, stem in enumerate(by_stem)}
        self._firsts = list(accumulate(map(len, self._cuts), initial=0))

    def place_of(self, part: str) -> int | None:
        """The place of the unit of a part; None where it is the part of none."""
        stem, _, name = part.rpartition("-")
        index, number = name.partition(".")[0], self._numbers.get(stem)
        if number is None or not (index.isascii() and index.isdecimal()) or int(index) >= len(self._cuts[number]):
            return None
        return self._firsts[number] + int(index) if part == part_of(stem, int(index)) else None

    def at(self, place: int) -> Unit:
        """The unit at a place."""
        number = bisect_right(self._firsts, place) - 1
        return self._cuts[number][place - self._firsts[number]]

    def num_rows_at(self, place: int) -> int:
        """The number of rows of the unit at a place."""
        number = bisect_right(self._firsts, place) - 1
        return self._cuts[number].num_rows_of(place - self._firsts[number])

    def places(self, *, are_there: bool) -> Iterator[int]:
        """The places of the units of files that are in the source, or else of those that are gone."""
        for cut, first in zip(self._cuts, self._firsts, strict=False):
            if (cut.file.state != "gone") == are_there:
                yield from range(first, first + len(cut))

    def pieces(self, places: Iterable[int]) -> list[tuple[Cut, array[int]]]:
        """The units at these places, those of one file that follow each other together; and which of its units."""
        found: list[tuple[int, array[int]]] = []
        first = end = 0
        for place in places:
            if not first <= place < end:
                number = bisect_right(self._firsts, place) - 1
                first, end = self._firsts[number], self._firsts[number + 1]
                found.append((number, array("q")))
            found[-1][1].append(place - first)
        return [(self._cuts[number].some(indices), indices) for number, indices in found]

    @property
    def num_rows(self) -> int:
        """Of all units together."""
        return sum(cut.num_rows for cut in self._cuts)

    def __len__(self) -> int:
        return self._firsts[-1]

    def __iter__(self) -> Iterator[str]:
        return (part_of(cut.file.stem, index) for cut in self._cuts for index in range(len(cut)))

    def __getitem__(self, part: str) -> Unit:
        if (place := self.place_of(part)) is None:
            raise KeyError(part)
        return self.at(place)

    def get(self, part: str, default: Unit | None = None) -> Unit | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        return default if (place := self.place_of(part)) is None else self.at(place)

    def __contains__(self, part: object) -> bool:
        return isinstance(part, str) and self.place_of(part) is not None


class Selection(Sequence[Unit]):
    """Some of the units, in order, in 8 bytes each. Another process that is sent them is sent no others."""

    def __init__(self, parts: Parts, places: Iterable[int]) -> None:
        self._parts, self._places = parts, array("q", places)

    @property
    def num_rows(self) -> int:
        """Of all its units together."""
        return sum(map(self._parts.num_rows_at, self._places))

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, at: int) -> Unit: ...
    @overload
    def __getitem__(self, at: slice) -> Selection: ...
    def __getitem__(self, at: int | slice) -> Unit | Selection:
        if isinstance(at, slice):
            return Selection(self._parts, self._places[at])
        return self._parts.at(self._places[at])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(cast("Sequence[object]", other))

    def __reduce__(self) -> tuple[object, ...]:
        return _units_of, (self._parts.pieces(self._places),)


def _units_of(pieces: Iterable[tuple[Cut, Iterable[int]]]) -> tuple[Unit, ...]:
    return tuple(
        Unit(file=cut.file, index=index, first_row=first_row, num_rows=num_rows, offset=offset)
        for cut, indices in pieces
        for index, (first_row, num_rows, offset) in zip(indices, cut.ranges, strict=True)
    )
