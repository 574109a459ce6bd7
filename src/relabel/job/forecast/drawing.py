"""Which rows of a plan are looked at: drawn by a seed, every row as likely as any other, in a bounded number of units.

Of those whose prompts were looked at some are generated: they are spread along the lengths of the prompts. Plain
integers: knows units by their number of rows, and nothing of files.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

MOST_UNITS = 64
"""Units that are read: each costs an opened file and all its rows up to the last that was drawn."""

LOOKED_AT, MOST_LOOKED_AT = 16, 2048
"""Prompts that are looked at for each that is generated, and of how many: a second or so of reading and tokenizing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """Rows that were drawn of one unit."""

    unit: int
    """Place of the unit in the plan."""
    rows: tuple[int, ...]
    """Places of the rows in the unit, in order."""


def draw_rows(unit_rows: Sequence[int], num_rows: int, seed: int, most_units: int = MOST_UNITS) -> list[Drawn]:
    """`num_rows` rows of units with so many rows each, by unit; all where there are no more.

    Rows are drawn without regard to units where those are few. Else units are drawn first, each as likely as it has
    rows, at equal steps from a random start, and of each a like number of its rows: no row is likelier than another,
    but rows of one unit come together. A unit with fewer rows than its share gives all it has.
    """
    ends = list(accumulate(unit_rows))
    total, random_ = (ends[-1] if ends else 0), random.Random(seed)
    if total <= num_rows:
        return [Drawn(unit=unit, rows=tuple(range(rows))) for unit, rows in enumerate(unit_rows) if rows]
    found: dict[int, set[int]] = {}
    if are_apart(len(unit_rows), num_rows, most_units):
        for row in random_.sample(range(total), num_rows):
            unit = bisect_right(ends, row)
            found.setdefault(unit, set()).add(row - (ends[unit] - unit_rows[unit]))
    else:
        start, step = random_.random() * total / most_units, total / most_units
        shares: dict[int, int] = {}
        for at in range(most_units):
            unit = bisect_right(ends, min(total - 1, int(start + at * step)))
            shares[unit] = shares.get(unit, 0) + num_rows * (at + 1) // most_units - num_rows * at // most_units
        for unit, share in shares.items():
            found[unit] = set(random_.sample(range(unit_rows[unit]), min(share, unit_rows[unit])))
    return [Drawn(unit=unit, rows=tuple(sorted(found[unit]))) for unit in sorted(found)]


def are_apart(num_units: int, num_rows: int, most_units: int = MOST_UNITS) -> bool:
    """Whether so many rows of so many units are drawn one by one, and not several of a unit that was drawn first."""
    return num_units <= most_units or num_rows <= most_units


def num_looked_at(num_units: int, num_rows: int, most_units: int = MOST_UNITS) -> int:
    """Rows whose prompts are looked at so that `num_rows` are spread along their lengths.

    No more than those where each is of a unit of its own: more rows of the same units would say less.
    """
    if num_units > most_units and num_rows <= most_units:
        return num_rows
    return max(num_rows, min(MOST_LOOKED_AT, LOOKED_AT * num_rows))


def spread_along(lengths: Sequence[int], num_rows: int, seed: int) -> list[int]:
    """Places of `num_rows` of these lengths, in order: two by chance of each two steps from short to long.

    Every place is as likely as any other, so that the mean of what is found there is that of all, with no more or fewer
    of the long ones than there are. At equal steps alone there would be a handful of draws of few rows, each of which
    may be an odd one.
    """
    if len(lengths) <= num_rows:
        return list(range(len(lengths)))
    random_ = random.Random(f"{seed} along")  # by itself: the same seed has drawn the rows
    order, step = sorted(range(len(lengths)), key=lengths.__getitem__), len(lengths) / num_rows
    width = round(2 * step)
    for first in range(0, len(order), width):
        neighbours = order[first : first + width]
        random_.shuffle(neighbours)
        order[first : first + width] = neighbours
    start = random_.random() * step
    return sorted(order[min(len(order) - 1, int(start + at * step))] for at in range(num_rows))
