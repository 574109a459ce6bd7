from hypothesis import given
from hypothesis import strategies as st

from relabel.job.stream.handful import LEAST_HANDFULS, MOST_TOGETHER, ROWS_TOGETHER, units_together

MANY = LEAST_HANDFULS * MOST_TOGETHER


def test_small_units_travel_together_and_others_alone():
    assert units_together(MANY, MANY) == MOST_TOGETHER
    assert units_together(MANY, 8 * MANY) == ROWS_TOGETHER // 8
    assert units_together(MANY, 1024 * MANY) == 1


def test_of_few_units_each_travels_alone():
    assert units_together(LEAST_HANDFULS, LEAST_HANDFULS) == units_together(1, 1) == 1
    assert units_together(2 * LEAST_HANDFULS, 2 * LEAST_HANDFULS) == 2


@given(st.integers(1, 10**7), st.integers(0, 10**10))
def test_a_handful_is_never_empty_and_never_large(num_units, num_rows):
    together = units_together(num_units, num_rows)
    assert 1 <= together <= MOST_TOGETHER
    assert together == 1 or together * num_rows <= ROWS_TOGETHER * num_units
