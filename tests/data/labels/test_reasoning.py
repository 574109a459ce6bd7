import pytest
from hypothesis import given
from hypothesis import strategies as st

from relabel.data.labels.reasoning import split_reasoning


@pytest.mark.parametrize(
    ("text", "reasoning", "answer"),
    [
        ("a red square", None, "a red square"),
        ("<think>\nred or blue?\n</think>\n\nred", "red or blue?", "\n\nred"),
        ("red or blue?</think>red", "red or blue?", "red"),
        ("<think></think>red", "", "red"),
        ("<think>one</think>two</think>red", "one</think>two", "red"),
        ("\n<think> red or", "red or", ""),
        ("<think>", "", ""),
        ("red <think> or blue", None, "red <think> or blue"),
        ("</think>", "", ""),
        ("", None, ""),
    ],
)
def test_what_was_thought_is_split_off(text, reasoning, answer):
    assert split_reasoning(text) == (reasoning, answer)


@given(st.lists(st.sampled_from(["<think>", "</think>", "red", " ", "\n"])).map("".join))
def test_no_mark_is_left_that_would_be_taken_for_the_answer(text):
    reasoning, answer = split_reasoning(text)
    assert "</think>" not in answer
    assert not answer.lstrip().startswith("<think>") or "</think>" in text
    assert text.endswith(answer)
    assert reasoning is None or reasoning in text
