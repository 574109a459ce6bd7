"""Bars hold every number once, and a few long ones do not squeeze all others into one."""

import random

import pytest

from relabel.report.histogram import MOST_BARS, histogram, times


@pytest.mark.parametrize("most", [0, 1, 9, 100, 12_345, 10**9])
def test_every_number_is_in_the_bar_of_its_bounds(most):
    numbers = [random.Random(most).randint(0, most) for _ in range(500)]
    found = histogram("tokens", numbers)
    assert len(found.bars) <= MOST_BARS
    assert [sum(bar.low <= number <= bar.high for number in numbers) for bar in found.bars] == [
        bar.count for bar in found.bars
    ]
    assert sum(bar.count for bar in found.bars) == 500 == found.rows


def test_a_few_long_ones_share_the_last_bar():
    found = histogram("tokens", [*range(1000), 10**6])
    assert (found.bars[-1].high, found.longest) == (10**6, 10**6)
    assert found.bars[0].count == 50


def test_the_middle_and_the_long_end_are_said():
    found = histogram("tokens", [*range(101)])
    assert (found.mean, found.p50, found.p95) == (50, 50, 95)


def test_of_no_numbers_there_are_no_bars():
    assert histogram("tokens", []) is None


def test_times_of_several_runs_are_in_one_picture():
    found = times("seconds", [{"0": 10, "2": 5}, {}, {"4": 5}])
    bars = {bar.up_to: bar.count for bar in found.bars}
    assert bars == {1.0: 10, 1.4: 0, 2.0: 5, 2.8: 0, 4.0: 5}
    assert (found.number, found.p50, found.p95, found.longest, found.highest) == (20, 1.0, 4.0, 4.0, 10)


def test_of_runs_that_counted_no_times_there_are_none():
    assert times("seconds", [{}, {}]) is None
