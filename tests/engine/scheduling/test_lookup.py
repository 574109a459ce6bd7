"""What came after the newest tokens where they stood before is what is drafted."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from relabel.engine.scheduling.lookup import NGRAM, PromptLookup

tokens = st.lists(st.integers(0, 3), max_size=40)


def test_a_copied_passage_is_drafted_from_its_third_token_on() -> None:
    prompt = [1, 2, 3, 4, 5, 6, 7, 8, 9]
    lookup = PromptLookup([*prompt, 50])
    assert lookup.draft(4) == []
    lookup.extend([3, 4])
    assert lookup.draft(4) == []
    lookup.extend([5])
    assert lookup.draft(3) == [6, 7, 8]
    assert lookup.draft(99) == [6, 7, 8, 9, 50, 3, 4, 5]


def test_the_last_place_counts() -> None:
    lookup = PromptLookup([1, 2, 3, 10, 1, 2, 3, 20, 1, 2, 3])
    assert lookup.draft(1) == [20]


def test_a_text_that_repeats_itself_is_its_own_source() -> None:
    assert PromptLookup([7, 8, 9, 7, 8, 9]).draft(5) == [7, 8, 9]


@given(before=tokens, after=tokens)
def test_tokens_may_come_in_any_pieces(before: list[int], after: list[int]) -> None:
    lookup = PromptLookup(before)
    lookup.extend(after)
    assert lookup.draft(5) == PromptLookup(before + after).draft(5)
    assert len(lookup) == len(before + after)


@given(known=tokens, most=st.integers(0, 6))
def test_a_draft_stood_behind_the_same_tokens_before(known: list[int], most: int) -> None:
    draft = PromptLookup(known).draft(most)
    newest = known[-NGRAM:]
    places = [at for at in range(NGRAM, len(known)) if known[at - NGRAM : at] == newest]
    assert draft == (known[places[-1] : places[-1] + most] if places and len(newest) == NGRAM else [])
