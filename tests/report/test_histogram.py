"""Bars hold every number once, and a few long ones do not squeeze all others into one."""

import random

import pytest

from relabel.report.histogram import MOST_BARS, histogram


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
