from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relabel.data.labels.vote import vote

CAT, DOG = {"label": "cat"}, {"label": "dog"}


@pytest.mark.parametrize(
    ("answers", "winner"),
    [
        ([CAT], (0, 1.0)),
        ([DOG, CAT, CAT], (1, 2 / 3)),
        ([DOG, CAT], (0, 0.5)),
        ([CAT, DOG, DOG, CAT], (0, 0.5)),
        ([None, CAT, None, None], (1, 0.25)),
        ([None, None], None),
        ([], None),
    ],
)
def test_the_answer_given_most_often_wins_and_the_earliest_of_those(answers, winner):
    assert vote(answers) == winner


def test_answers_are_equal_whatever_the_order_of_their_keys():
    shape = {"name": "box", "size": {"w": 1, "h": [2.5, None]}}
    again = {"size": {"h": [2.5, None], "w": 1}, "name": "box"}
    assert vote([CAT, shape, again]) == (1, 2 / 3)


def test_an_answer_of_nothing_but_nulls_is_an_answer():
    assert vote([None, {"a": None}, {"a": None}]) == (1, 2 / 3)


@given(st.lists(st.none() | st.fixed_dictionaries({"label": st.sampled_from("abc")}), max_size=12))
def test_no_other_answer_has_more_votes(answers):
    votes = Counter(answer["label"] for answer in answers if answer)
    if not votes:
        assert vote(answers) is None
        return
    index, agreement = vote(answers)
    assert votes[answers[index]["label"]] == max(votes.values())
    assert agreement == max(votes.values()) / len(answers)
    assert all(votes[answer["label"]] < max(votes.values()) for answer in answers[:index] if answer)
