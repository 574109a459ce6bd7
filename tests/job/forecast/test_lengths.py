import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relabel.job.forecast.lengths import Lengths, quantile

lengths = st.lists(st.integers(0, 100_000), min_size=1, max_size=60)


@settings(max_examples=60)
@given(lengths, st.sampled_from([0.0, 0.5, 0.95, 0.99, 1.0]))
def test_a_quantile_is_the_least_value_that_so_many_do_not_exceed(values, share):
    found = quantile(sorted(values), share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values)
    assert sum(value < found for value in values) < max(share * len(values), 1)


@settings(max_examples=60)
@given(lengths)
def test_the_figures_are_in_order_and_the_histogram_holds_every_length_once(values):
    found = Lengths.of(values)
    assert min(values) <= found.p50 <= found.p95 <= found.p99 <= found.max == max(values)
    assert found.mean == pytest.approx(sum(values) / len(values))
    assert sum(number for _, number in found.histogram) == found.num == len(values)
    before = 0
    for up_to, number in found.histogram:
        assert number == sum(before < value <= up_to for value in values) + (before == 0) * values.count(0)
        before = up_to


def test_of_nothing_nothing_is_said():
    assert Lengths.of([]).to_json() == {
        "mean": None,
        "p50": None,
        "p95": None,
        "p99": None,
        "max": None,
        "histogram": [],
    }
    with pytest.raises(ValueError, match="at least one"):
        quantile([], 0.5)
