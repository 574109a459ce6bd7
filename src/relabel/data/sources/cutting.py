"""How the rows of a file are cut into units. Integers only: knows nothing of files' contents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from relabel.data.sources.unit import SourceFile, Unit


def cut_rows(file: SourceFile, offsets: Iterable[int], unit_rows: int) -> list[Unit]:
    """Units of `unit_rows` rows, the last one shorter, from the byte at which each row begins."""
    starts, num_rows = list[int](), 0
    for offset in offsets:
        if num_rows % unit_rows == 0:
            starts.append(offset)
        num_rows += 1
    return [
        Unit(file=file, index=k, first_row=first, num_rows=min(unit_rows, num_rows - first), offset=start)
        for k, (first, start) in enumerate(zip(range(0, num_rows, unit_rows), starts, strict=True))
    ]


def cut_groups(file: SourceFile, group_rows: Iterable[int], unit_rows: int) -> list[Unit]:
    """Units that follow row groups: small neighbours go together, groups of over two units are cut, others stay."""
    return [
        Unit(file=file, index=k, first_row=first, num_rows=num_rows)
        for k, (first, num_rows) in enumerate(_ranges(group_rows, unit_rows))
    ]


def cut_as_before(units: Sequence[Unit], before: Sequence[Unit], unit_rows: int) -> list[Unit]:
    """The units of a file that was written anew, cut where its units were, as far as it has those rows.

    A unit whose rows read the same is then the same unit, whatever row groups they lie in now. Where a unit begins at
    a byte, nothing is known of other rows' bytes: such a file stays cut as it is.
    """
    num_rows, num_before = (sum(unit.num_rows for unit in whole) for whole in (units, before))
    if any(unit.offset for unit in units) or not before:
        return list(units)
    kept = [unit for unit in before if unit.first_row + unit.num_rows <= num_rows]
    if num_rows > num_before and kept and kept[-1].num_rows < unit_rows:
        kept.pop()  # or a file that grows by a row a night would have a unit a night
    start = sum(unit.num_rows for unit in kept)
    ranges = [(unit.first_row, unit.num_rows) for unit in kept]
    for unit in units:
        if (end := unit.first_row + unit.num_rows) > start:
            first = max(unit.first_row, start)
            ranges.append((first, end - first))
    file = units[0].file if units else before[0].file
    return [Unit(file=file, index=k, first_row=first, num_rows=rows) for k, (first, rows) in enumerate(ranges)]


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
