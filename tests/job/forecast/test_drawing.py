from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from relabel.job.forecast.drawing import MOST_LOOKED_AT, draw_rows, num_looked_at, spread_along

plans = st.lists(st.integers(0, 40), min_size=1, max_size=30)


@settings(max_examples=80)
@given(plans, st.integers(1, 60), st.integers(0, 9), st.integers(1, 8))
def test_rows_are_drawn_once_from_units_that_have_them_and_from_few_enough_of_these(unit_rows, num_rows, seed, most):
    drawn = draw_rows(unit_rows, num_rows, seed, most)
    assert drawn == draw_rows(unit_rows, num_rows, seed, most)
    for one in drawn:
        assert list(one.rows) == sorted(set(one.rows))
        assert one.rows[0] >= 0
        assert one.rows[-1] < unit_rows[one.unit]
    units, number = [one.unit for one in drawn], sum(len(one.rows) for one in drawn)
    assert units == sorted(set(units))
    assert number <= min(num_rows, sum(unit_rows))
    if len(unit_rows) <= most or num_rows <= most or sum(unit_rows) <= num_rows:
        assert number == min(num_rows, sum(unit_rows))
    else:
        assert len(drawn) <= most


def test_all_rows_are_taken_where_there_are_no_more():
    assert [one.rows for one in draw_rows([2, 0, 3], 5, seed=1)] == [(0, 1), (0, 1, 2)]
    assert draw_rows([], 5, seed=1) == draw_rows([0], 5, seed=1) == []


def test_no_row_is_likelier_than_another_also_where_units_are_drawn_first():
    unit_rows, num_draws = [100, 10, 60, 30, 200], 2000
    counts = Counter()
    for seed in range(num_draws):
        for one in draw_rows(unit_rows, 8, seed, most_units=2):
            counts[one.unit] += len(one.rows)
    for unit, rows in enumerate(unit_rows):
        wanted = 8 * num_draws * rows / sum(unit_rows)
        chance = 4 * (4 * wanted) ** 0.5  # four rows come together: four deviations of that
        assert abs(counts[unit] - wanted) < chance


@settings(max_examples=80)
@given(st.lists(st.integers(0, 9), max_size=60), st.integers(1, 20), st.integers(0, 9))
def test_places_are_taken_once_and_of_each_length_as_many_as_there_are(lengths, num_rows, seed):
    taken = spread_along(lengths, num_rows, seed)
    assert taken == spread_along(lengths, num_rows, seed)
    assert taken == sorted(set(taken))
    assert len(taken) == min(num_rows, len(lengths))
    for length in set(lengths):
        share = num_rows * lengths.count(length) / len(lengths)
        assert len(lengths) <= num_rows or abs(sum(lengths[place] == length for place in taken) - share) < 4


def test_no_place_is_likelier_than_another():
    lengths, counts = [5, 1, 9, 9, 2, 700, 3], Counter()
    for seed in range(3000):
        counts.update(spread_along(lengths, 3, seed))
    assert all(abs(counts[place] - 3000 * 3 / 7) < 100 for place in range(7))


def test_more_prompts_are_looked_at_where_that_is_cheap_and_says_more():
    assert num_looked_at(num_units=40, num_rows=8) == 128
    assert num_looked_at(num_units=10**6, num_rows=128) == MOST_LOOKED_AT
    assert num_looked_at(num_units=10**6, num_rows=10**4) == 10**4
    assert num_looked_at(num_units=65, num_rows=64) == 64, "each row of a unit of its own"
