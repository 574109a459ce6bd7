"""How many actors a spec may ask for: a number of them, or from how many to how many."""

import pytest

from relabel.errors import SpecError
from relabel.spec import make_spec
from tests.spec.test_spec import MINIMAL


def actors_of(value):
    resources = make_spec({**MINIMAL, "resources": {"actors": value}}).resources
    return resources.fewest_actors, resources.most_actors


def test_a_number_is_both_the_fewest_and_the_most():
    assert (actors_of(8), actors_of("8")) == ((8, 8), (8, 8))


def test_a_range_begins_with_one_where_it_does_not_say():
    assert (actors_of({"min": 2, "max": 64}), actors_of({"max": 4})) == ((2, 64), (1, 4))


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (0, r"resources\.actors: Input should be greater than or equal to 1$"),
        (1.5, r"resources\.actors: Input should be a valid integer"),
        ([1, 2], r"resources\.actors: Input should be a valid integer$"),
        (None, r"resources\.actors: Input should be a valid integer$"),
        ({"max": 0}, r"resources\.actors\.max: Input should be greater than or equal to 1$"),
        ({"min": 3}, r"resources\.actors\.max is missing$"),
        ({"min": 3, "max": 2}, r"resources\.actors: min is 3 and max is 2: swap them$"),
        ({"max": 2, "mix": 1}, r"unknown key resources\.actors\.mix; did you mean (min|max)\?$"),
    ],
)
def test_what_is_neither_is_refused_in_one_sentence(value, why):
    with pytest.raises(SpecError, match=why) as refused:
        actors_of(value)
    assert len(str(refused.value).splitlines()) == 1
