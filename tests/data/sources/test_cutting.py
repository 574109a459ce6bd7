import dataclasses
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relabel.data.sources.cutting import Cut, cut_as_before, cut_groups, cut_rows
from relabel.data.sources.unit import SourceFile

FILE = SourceFile(path="a.parquet", url="/a.parquet", size=1, version="")


def sizes(group_rows, unit_rows):
    return [unit.num_rows for unit in cut_groups(FILE, group_rows, unit_rows)]


@pytest.mark.parametrize(
    ("group_rows", "expected"),
    [
        ([100, 100], [100, 100]),
        ([10, 20, 30, 90], [60, 90]),
        ([200, 50], [200, 50]),
        ([250], [100, 100, 50]),
        ([30, 250, 30], [30, 100, 100, 50, 30]),
        ([0, 0, 40, 0], [40]),
        ([], []),
    ],
)
def test_units_follow_row_groups(group_rows, expected):
    assert sizes(group_rows, 100) == expected


@settings(deadline=None)
@given(st.lists(st.integers(0, 500), max_size=30), st.integers(1, 100))
def test_units_tile_the_rows_and_stay_small(group_rows, unit_rows):
    units = cut_groups(FILE, group_rows, unit_rows)
    ends = [0, *accumulate(unit.num_rows for unit in units)]
    assert [unit.first_row for unit in units] == ends[:-1]
    assert ends[-1] == sum(group_rows)
    assert all(0 < unit.num_rows <= 2 * unit_rows for unit in units)
    assert [unit.index for unit in units] == list(range(len(units)))


def test_rows_are_cut_at_their_offsets():
    units = cut_rows(FILE, [0, 7, 9, 20, 31], 2)
    assert [(unit.first_row, unit.num_rows, unit.offset) for unit in units] == [(0, 2, 0), (2, 2, 9), (4, 1, 31)]


def test_the_units_of_a_file_are_a_sequence_that_is_equal_where_they_are():
    units, moved = cut_rows(FILE, [0, 7, 9, 20, 31], 2), dataclasses.replace(FILE, url="/moved/a.parquet")
    assert units == list(units)
    assert units == units[:]
    assert units == Cut(FILE, units.ranges)
    assert (units[-1], units[1:2]) == (units[2], (units[1],))
    assert units.at(moved) != units
    assert units.at(moved)[2] == dataclasses.replace(units[2], file=moved)
    other = Cut(FILE, [(0, 2, 0), (2, 2, 8), (4, 1, 31)])
    assert units.at(moved).is_like(units)
    assert not other.is_like(units)
    assert other.has_rows_of(units)
    assert not other.has_rows_of(Cut(FILE, [(0, 2, 0), (2, 3, 8)]))
    assert (units.num_rows, other.num_rows_of(2)) == (5, 1)
    with pytest.raises(IndexError):
        units[3]


def cut_anew(sizes_before, num_rows, unit_rows=100):
    """A file of units of these sizes, written anew with so many rows in one row group."""
    firsts = [0, *accumulate(sizes_before)]
    before = Cut(FILE, ((first, size, 0) for first, size in zip(firsts, sizes_before, strict=False)))
    return cut_as_before(cut_groups(FILE, [num_rows], unit_rows), before, unit_rows)


@pytest.mark.parametrize(
    ("before", "num_rows", "expected"),
    [
        ([60, 90, 40], 190, [60, 90, 40]),
        ([60, 90, 40], 250, [60, 90, 50, 50]),
        ([60, 120], 250, [60, 120, 20, 50]),
        ([60, 90, 40], 100, [60, 40]),
        ([60, 90, 40], 0, []),
        ([], 150, [150]),
    ],
)
def test_a_file_that_is_written_anew_is_cut_where_it_was(before, num_rows, expected):
    assert [unit.num_rows for unit in cut_anew(before, num_rows)] == expected


@settings(deadline=None)
@given(st.lists(st.integers(1, 40), max_size=8), st.integers(0, 400))
def test_what_is_cut_as_before_is_tiled_too(before, num_rows):
    units = cut_anew(before, num_rows, unit_rows=20)
    ends = [0, *accumulate(unit.num_rows for unit in units)]
    assert [unit.first_row for unit in units] == ends[:-1]
    assert ends[-1] == num_rows
    assert all(0 < unit.num_rows <= 40 for unit in units)
    assert [unit.index for unit in units] == list(range(len(units)))
    whole = [size for size, end in zip(before, accumulate(before), strict=True) if end <= num_rows]
    sure = whole[:-1]  # a last one that was short goes on with what was appended
    assert [unit.num_rows for unit in units][: len(sure)] == sure


def test_a_file_whose_units_begin_at_bytes_is_cut_by_its_own():
    now = cut_rows(FILE, [0, 7, 9], 2)
    assert cut_as_before(now, cut_rows(FILE, [0], 2), 2) == now
