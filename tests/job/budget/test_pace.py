"""How many rows and units fit into what is left."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relabel.job.budget.pace import Pace, Sizes


def test_what_is_written_for_units_under_way_is_part_of_what_was_paid_for():
    """Three units of ten rows side by side; the first is done, and the others are nearly."""
    pace = Pace(rows=10, row_tokens=1000, tokens=2900)
    assert pace.rows_done == pytest.approx(29)
    assert pace.rows_that_fit(left=10.0, cost=2.9) == pytest.approx(100)


@pytest.mark.parametrize(("row_tokens", "tokens"), [(0, 0), (0, 50), (1000, 900)])
def test_rows_without_tokens_and_engines_that_are_heard_of_late_count_as_the_rows_that_are_done(row_tokens, tokens):
    assert Pace(rows=10, row_tokens=row_tokens, tokens=tokens).rows_done == 10


@pytest.mark.parametrize(("rows", "cost"), [(0, 5.0), (10, 0.0)])
def test_nothing_is_known_before_anything_was_done_and_paid(rows, cost):
    assert Pace(rows=rows, row_tokens=rows, tokens=rows).rows_that_fit(5.0, cost) is None


@settings(max_examples=50)
@given(st.lists(st.integers(1, 50), max_size=20), st.floats(0, 1500))
def test_units_are_the_nearest_ones_or_those_that_stay_within(sizes, rows):
    units, ends = Sizes(sizes), [sum(sizes[:number]) for number in range(len(sizes) + 1)]
    assert len(units) == len(sizes)
    assert abs(ends[units.nearest(rows)] - rows) == min(abs(end - rows) for end in ends)
    assert ends[len(Sizes(sizes, rows))] == max(end for end in ends if end <= rows)
