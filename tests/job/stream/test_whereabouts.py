import pytest
from hypothesis import given
from hypothesis import strategies as st

from relabel.job.stream.whereabouts import STAGES, Whereabouts


@pytest.fixture
def units():
    return Whereabouts()


def test_a_unit_is_worked_on_in_a_stage_and_then_waits_for_the_next(units):
    seen = []
    for stage in STAGES:
        units.begin(stage, "a")
        seen.append(units.counts)
        units.end(stage, "a")
        seen.append(units.counts)
    assert [list(counts) for counts in seen] == [
        [("reading", "working")],
        [("generating", "waiting")],
        [("generating", "working")],
        [("publishing", "waiting")],
        [("publishing", "working")],
        [],
    ]


def test_an_end_that_is_told_late_moves_nothing_back(units):
    units.begin("generating", "a")
    units.begin("publishing", "a")
    units.end("generating", "a")
    assert units.counts == {("publishing", "working"): 1}
    units.end("publishing", "a")
    units.end("generating", "a")
    assert units.counts == {}


def test_a_unit_that_is_begun_again_is_counted_once_and_one_that_is_given_up_nowhere(units):
    units.begin("reading", "a")
    units.begin("reading", "a")
    assert units.counts == {("reading", "working"): 1}
    units.leave("a")
    assert units.counts == {}


@given(st.lists(st.tuples(st.sampled_from(["begin", "end"]), st.sampled_from(STAGES), st.sampled_from("abc"))))
def test_no_order_of_news_counts_a_unit_twice_or_less_than_never(news):
    units = Whereabouts()
    for what, stage, part in news:
        getattr(units, what)(stage, part)
    assert sum(units.counts.values()) <= 3
    assert all(number > 0 for number in units.counts.values())
