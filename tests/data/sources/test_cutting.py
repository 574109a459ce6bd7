from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relabel.data.sources.cutting import cut_groups, cut_rows
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
