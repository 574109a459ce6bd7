"""Lengths of time are counted by steps, each 1.42 times the one before."""

from hypothesis import given
from hypothesis import strategies as st

from relabel.data.runs.spans import LEAST, MOST, most_of, step_of, together


@given(st.floats(2e-4, 4e6))
def test_a_length_is_at_most_its_step_and_longer_than_the_one_before(seconds):
    step = int(step_of(seconds))
    assert most_of(step - 1) * 0.999 < seconds <= most_of(step) * 1.001


def test_there_are_only_so_many_steps():
    assert [step_of(seconds) for seconds in (0.0, 1e-9, 1e12)] == [str(LEAST), str(LEAST), str(MOST)]


def test_counts_add_up_and_no_step_between_is_left_out():
    assert together([{"-1": 2, "2": 1}, {"2": 4}, {}]) == {-1: 2, 0: 0, 1: 0, 2: 5}
    assert together([]) == together([{"7000": 1, "x": 2}]) == {}
