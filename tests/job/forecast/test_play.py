"""The run played without a model: it computes what there is to compute, and no row is held that has no room."""

from hypothesis import given, settings
from hypothesis import strategies as st

from relabel.engine.scheduling.step import Limits
from relabel.job.forecast.cost import LinearCost
from relabel.job.forecast.play import seconds_of, works_of
from relabel.job.forecast.texts import Text

LIMITS = Limits(kv_tokens=2000, num_slots=8, step_tokens=64)


@st.composite
def texts(draw):
    most = draw(st.integers(1, 30))
    return Text(prompt=draw(st.integers(1, 90)), most=most, chosen=draw(st.integers(1, most)))


rows = st.lists(st.lists(texts(), min_size=0, max_size=3), min_size=0, max_size=40)


def works(some, *, unit_rows=5, units_at_once=3):
    return list(works_of(some, LIMITS, unit_rows=unit_rows, units_at_once=units_at_once))


@settings(max_examples=60)
@given(rows, st.integers(1, 9), st.integers(1, 4))
def test_every_prompt_is_computed_once_and_every_token_chosen_once(some, unit_rows, units_at_once):
    found = works(some, unit_rows=unit_rows, units_at_once=units_at_once)
    flat = [text for row in some for text in row]
    assert sum(work.prompt for work in found) == sum(text.prompt for text in flat)
    assert sum(work.logits for work in found) == sum(text.chosen for text in flat)
    assert sum(work.decoded for work in found) == sum(text.chosen - 1 for text in flat)
    assert all(work.decoded <= LIMITS.num_slots and work.decoded + work.prompt <= LIMITS.step_tokens for work in found)


def test_what_rows_have_in_common_is_computed_once():
    shared = [[Text(prompt=50, most=2, chosen=2, shared=40)]] * 4
    assert sum(work.prompt for work in works(shared)) == 4 * 10
    of_one_row = [[Text(prompt=50, most=2, chosen=2, in_common=40)] * 3]
    assert sum(work.prompt for work in works(of_one_row)) == 50 + 2 * 10


def test_a_text_that_does_not_fit_at_all_is_left_out():
    assert works([[Text(prompt=1990, most=20, chosen=1)]]) == []


def test_units_come_one_after_the_other_where_few_are_before_the_engine():
    some = [[Text(prompt=1, most=10, chosen=10)]] * 8
    assert len(works(some, unit_rows=2, units_at_once=1)) == 4 * 10
    assert len(works(some, unit_rows=2, units_at_once=4)) == 10


def test_what_is_not_played_takes_what_the_last_half_took():
    """Of rows of one shape a full engine makes so many in so many steps, for ever."""
    some, cost = [[Text(prompt=1, most=10, chosen=10)]] * 64, LinearCost(step=1.0)

    def seconds(num_rows, played=some):
        return seconds_of(played, LIMITS, cost, unit_rows=100, units_at_once=1, num_rows=num_rows)

    assert seconds(64) == 80  # eight at once, ten steps
    assert seconds(8) == 10
    assert seconds(6400) == 8000
    assert seconds(0) == seconds(10, played=[]) == 0
