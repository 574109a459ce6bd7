"""Thoughts and answers told apart, whatever either of them says."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relabel.data.labels.reasoning import Start, before_answer, split_reasoning, start_of
from relabel.data.labels.reasoning_formats import FORMATS, THINK

HARMONY = FORMATS["harmony"]
ALL_MARKS = sorted({mark for one in FORMATS.values() for mark in one.marks})


@pytest.mark.parametrize(
    ("text", "reasoning", "answer"),
    [
        ("a red square", None, "a red square"),
        ("<think>\nred or blue?\n</think>\n\nred", "red or blue?", "\n\nred"),
        ("red or blue?</think>red", "red or blue?", "red"),
        ("<think></think>red", "", "red"),
        ("<think>one</think>two</think>red", "one</think>two", "red"),
        ("\n<think> red or", "red or", None),
        ("<think>", "", None),
        ("red <think> or blue", None, "red <think> or blue"),
        ("</think>", "", ""),
        ("", None, ""),
    ],
)
def test_what_was_thought_is_split_off(text, reasoning, answer):
    assert split_reasoning(text, THINK) == (reasoning, answer)


@pytest.mark.parametrize(
    ("text", "reasoning", "answer"),
    [
        ("<|channel|>final<|message|>cat", None, "cat"),
        ("<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>cat", "hm", "cat"),
        (
            "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>commentary<|message|>oh<|end|>"
            '<|start|>assistant<|channel|>final <|constrain|>json<|message|>{"a": 1}<|end|><|start|>assistant',
            "hm\n\noh",
            '{"a": 1}',
        ),
        ("<|channel|>final <|constrain|>JSON<|message|>{}", None, "{}"),
        ("<|channel|>final code<|message|>x = 1", None, "x = 1"),
        ("<|channel|>commentary to=functions.f <|constrain|>json<|message|>{}", "{}", None),
        (
            "<|channel|>analysis<|message|>hm<|end|><|start|>assistant to=f<|channel|>commentary json<|message|>{}",
            "hm\n\n{}",
            None,
        ),
        (
            "<|start|>assistant<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>cat",
            "hm",
            "cat",
        ),
        ("<|start|>assistant<|channel|>final<|message|>cat", None, "cat"),
        ("<|channel|>analysis<|message|>hm<|end|><|start|>assistant to=me<|channel|>final<|message|>cat", "hm", "cat"),
        ("<|channel|>analysis<|message|>hm<|channel|>final<|message|>cat", "hm", "cat"),
        ("<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>fin", "hm", None),
        ("cat", None, "cat"),
    ],
)
def test_channels(text, reasoning, answer):
    found = split_reasoning(text, HARMONY)
    assert found == (reasoning, answer)


def test_an_answer_may_have_marks_of_its_own():
    text = "<think>\n\n</think>\n<answer>\ncat\n</answer>"
    assert split_reasoning(text, FORMATS["hunyuan"]) == ("", "\ncat\n")
    assert split_reasoning(text, THINK) == ("", "\n<answer>\ncat\n</answer>")


@pytest.mark.parametrize(
    ("name", "text", "reasoning", "answer"),
    [
        ("solar", "<|think|>hm<|end|><|begin|>assistant<|content|>cat<|end|>", "hm", "cat"),
        ("solar", "<|content|>cat", None, "cat"),
        ("solar", "<|begin|>assistant<|think|>hm", "hm", None),
        ("glm_v", "<think>hm</think>\n<|begin_of_box|>cat<|end_of_box|>", "hm", "cat"),
        ("apriel", "Here are my reasoning steps:\nhm\n[BEGIN FINAL RESPONSE]cat[END FINAL RESPONSE]\n", "hm", "cat"),
        ("longcat", "<longcat_think>hm</longcat_think>cat", "hm", "cat"),
        ("minimax_m3", "<mm:think>hm</mm:think>cat", "hm", "cat"),
    ],
)
def test_other_families(name, text, reasoning, answer):
    assert split_reasoning(text, FORMATS[name]) == (reasoning, answer)


def test_the_end_of_an_answer_is_text_in_one_that_ends_by_itself():
    text = '<|channel|>final<|message|>{"a": "<|end|>"}'
    assert split_reasoning(text, HARMONY, is_held=True) == (None, '{"a": "<|end|>"}')
    assert split_reasoning(f"{text}<|end|>", HARMONY) == (None, '{"a": "')


@pytest.mark.parametrize(
    ("reply_start", "start"),
    [
        ("<|im_start|>assistant\n", Start.BEFORE),
        ("<|im_start|>assistant\n<think>\n", Start.THINKING),
        ("<|im_start|>assistant\n<think>\n\n</think>\n\n", Start.ANSWERING),
        ("<\uff5cAssistant\uff5c></think>", Start.ANSWERING),
    ],
)
def test_where_a_prompt_ends(reply_start, start):
    assert start_of(THINK, reply_start) is start


@pytest.mark.parametrize(
    ("reply_start", "start"),
    [
        ("<|start|>assistant", Start.BEFORE),
        ("<|start|>assistant<|channel|>analysis<|message|>", Start.THINKING),
        ("<|start|>assistant<|channel|>final<|message|>", Start.ANSWERING),
        ("<|start|>assistant<|channel|>analysis<|message|>no<|end|><|start|>assistant", Start.BEFORE),
    ],
)
def test_where_a_prompt_in_channels_ends(reply_start, start):
    assert start_of(HARMONY, reply_start) is start


def texts(*, without):
    """Texts of words, white space and marks of all families but those that are given."""
    marks = [mark for mark in ALL_MARKS if not any(mark in one or one in mark for one in without)]
    return (
        st.lists(st.sampled_from(["red", "<", "|", " ", "\n", "é", *marks]))
        .map("".join)
        .filter(lambda text: not any(one in text for one in without))
    )


@st.composite
def written(draw):
    """A format, where its prompt ends, a thought, an answer, and the text that a model would write before that."""
    format = FORMATS[draw(st.sampled_from(sorted(FORMATS)))]
    own = tuple(mark.strip() for mark in format.marks)
    thought, answer = draw(texts(without=own)), draw(texts(without=own))
    start = draw(st.sampled_from([Start.BEFORE, Start.THINKING]))
    opening = draw(st.sampled_from(format.openings[:2])) if start is Start.BEFORE else ""
    closing = draw(st.sampled_from(format.closings))
    return format, start, thought, answer, f"{opening}{thought}{format.between}{closing}"


@settings(max_examples=200)
@given(written(), st.booleans())
def test_any_thought_and_any_answer_come_back(made, is_held):
    format, start, thought, answer, before = made
    first, last = format.answer
    after = f"{first}{answer}{'' if is_held else last}"
    reasoning, found = split_reasoning(f"{before}{after}", format, start=start, is_held=is_held)
    assert (reasoning, found) == (thought.strip(), answer)
    if answer.strip():
        assert before_answer(f"{before}{after}", format, start=start, is_held=is_held).startswith(before)


@settings(max_examples=100)
@given(written(), st.booleans())
def test_a_text_cut_anywhere_has_no_answer_or_the_beginning_of_it(made, is_held):
    format, start, _, answer, before = made
    after = f"{format.answer[0]}{answer}{'' if is_held else format.answer[1]}"
    whole = f"{before}{after}"
    for end in range(1 if start is Start.BEFORE else 0, len(whole)):
        _, found = split_reasoning(whole[:end], format, start=start, is_held=is_held, is_cut_off=True)
        if end < len(before):
            assert found is None
        else:
            assert found is not None
            # with a piece of the marks around it, where the text ends inside one
            assert after.startswith(found) or after.removeprefix(format.answer[0]).startswith(found)


@settings(max_examples=100)
@given(st.sampled_from(sorted(FORMATS)), st.data())
def test_an_answer_alone_comes_back(name, data):
    format = FORMATS[name]
    answer = data.draw(texts(without=tuple(mark.strip() for mark in format.marks)))
    start = data.draw(st.sampled_from([Start.BEFORE, Start.ANSWERING]))
    assert split_reasoning(answer, format, start=start) == (None, answer)


@given(st.lists(st.sampled_from(["<think>", "</think>", "red", " ", "\n"])).map("".join))
def test_no_mark_is_left_that_would_be_taken_for_the_answer(text):
    reasoning, answer = split_reasoning(text, THINK)
    assert answer is None or "</think>" not in answer
    assert answer is None or not answer.lstrip().startswith("<think>") or "</think>" in text
    assert text.endswith(answer or "")
    assert reasoning is None or reasoning in text


def test_before_an_answer_that_never_came_stands_nothing():
    assert before_answer("<think>let me see", THINK, start=Start.BEFORE, is_held=False) is None
    assert before_answer("<think>so</think>  ", THINK, start=Start.BEFORE, is_held=False) is None
