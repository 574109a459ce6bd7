import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relabel.job.forecast.interval import UNKNOWN, interval_of_mean

clusters = st.lists(st.lists(st.floats(0, 1e4), min_size=1, max_size=5), min_size=1, max_size=8)


@settings(max_examples=25)
@given(clusters, st.integers(0, 3))
def test_the_mean_lies_in_its_interval_and_that_among_the_values(values, seed):
    flat = [value for some in values for value in some]
    found = interval_of_mean(values, seed, num_all=10**9)
    assert found == interval_of_mean(values, seed, num_all=10**9)
    assert min(flat) - 1e-6 <= found.low <= found.mid <= found.high <= max(flat) + 1e-6
    assert found.mid == pytest.approx(sum(flat) / len(flat))


def test_the_interval_holds_the_true_mean_about_as_often_as_it_says():
    random_ = random.Random(1)
    held = 0
    for seed in range(100):
        found = interval_of_mean([[random_.expovariate(1.0)] for _ in range(80)], seed, num_all=10**9)
        held += found.low <= 1.0 <= found.high
    assert 80 <= held <= 97  # 90 of 100, and chance


def test_rows_that_come_together_say_less_than_as_many_apart():
    apart = interval_of_mean([[float(value % 2)] for value in range(64)], 0, num_all=10**9)
    together = interval_of_mean([[float(unit % 2)] * 16 for unit in range(4)], 0, num_all=10**9)
    assert together.high - together.low > 2 * (apart.high - apart.low)


def test_nothing_is_left_to_chance_where_every_row_was_drawn():
    found = interval_of_mean([[1.0], [5.0]], 0, num_all=2)
    assert found.low == found.mid == found.high == 3.0


def test_of_nothing_nothing_is_known():
    assert interval_of_mean([[], []], 0, num_all=5) == UNKNOWN
    assert UNKNOWN.times(3.0).to_json() == {"low": None, "mid": None, "high": None}
