from hypothesis import given
from hypothesis import strategies as st

from relabel.job.metrics.increments import Increments
from relabel.job.metrics.meter import Sample
from relabel.job.metrics.table import ROWS, UNITS


def grown(increments, total, metric=ROWS, label="ok"):
    return increments.since(Sample(metric, (label,), total))


@given(st.lists(st.integers(0, 50)))
def test_what_is_handed_on_adds_up_to_the_largest_total_in_whatever_order_totals_come(totals):
    increments = Increments()
    handed_on = [found for total in totals if (found := grown(increments, total)) is not None]
    assert sum(handed_on) == max(totals, default=0)
    assert all(found > 0 for found in handed_on[1:])


def test_a_counter_is_there_from_the_start_and_a_total_that_is_told_twice_counts_once():
    increments = Increments()
    assert [grown(increments, total) for total in (0, 0, 3, 3, 5)] == [0, None, 3, None, 2]


def test_series_are_counted_each_for_itself():
    increments = Increments()
    assert grown(increments, 3) == grown(increments, 3, label="rejected") == grown(increments, 3, UNITS, "done") == 3
