"""A draft is accepted up to the first token that was not chosen."""

from __future__ import annotations

import pytest

from relabel.engine.sampling.accepted import are_accepted


@pytest.mark.parametrize(
    ("tokens", "assumed", "accepted"),
    [
        pytest.param([5, 6, 7], [None, None, None], [True, True, True], id="no drafts"),
        pytest.param([5, 6, 7], [5, 6, None], [True, True, True], id="whole, and one more"),
        pytest.param([5, 6, 7], [5, 9, None], [True, True, False], id="a part"),
        pytest.param([5, 6, 7], [9, 6, None], [True, False, False], id="nothing behind a wrong one, right or not"),
        pytest.param([5, 6, 7, 8], [9, None, 7, None], [True, False, True, True], id="each row by itself"),
    ],
)
def test_a_draft_is_accepted_up_to_the_first_token_that_was_not_chosen(tokens, assumed, accepted) -> None:
    assert are_accepted(tokens, assumed) == accepted
