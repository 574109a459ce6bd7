"""A text into an answer: reasoning split off, parsed or refused."""

from relabel.data.labels.reasoning import Start
from relabel.data.labels.reasoning_formats import THINK
from relabel.job.stages.answer import AnswerReader
from relabel.spec import Label


def read(text, *, start=Start.BEFORE, is_held=False, is_cut_off=False, format=THINK, **label):
    return AnswerReader(Label(**label), format).read(text, start=start, is_held=is_held, is_cut_off=is_cut_off)


def test_the_label_is_what_the_parser_takes_and_the_text_is_what_was_written():
    answer = read(" a red circle ")
    assert (answer.text, answer.values, answer.reason) == (" a red circle ", {"label": "a red circle"}, None)


def test_reasoning_is_split_off_before_parsing():
    answer = read("<think>red or blue?</think>\nred", parse="choice", choices=["red", "blue"])
    assert (answer.reasoning, answer.values) == ("red or blue?", {"label": "red"})


def test_a_text_that_is_no_label_has_a_reason_that_does_not_quote_it():
    answer = read("green", parse="choice", choices=["red", "blue"])
    assert answer.values is None
    assert answer.reason.startswith("parse: ")
    assert "green" not in answer.reason


def test_a_text_that_is_held_to_a_label_has_no_thoughts_but_those_it_begins_with():
    pattern = {"parse": "regex", "pattern": ".+"}
    text = "the tag </think> ends it"
    assert read(text, is_held=True, **pattern).text == text
    assert read(text + text, is_held=True, start=Start.THINKING, **pattern).text == " ends itthe tag </think> ends it"


def test_a_text_that_ends_in_its_thoughts_is_a_reject_and_not_an_empty_one():
    answer = read("red or bl", start=Start.THINKING, is_cut_off=True)
    assert (answer.text, answer.reasoning, answer.values) == ("", "red or bl", None)
    assert answer.reason == "parse: ended before its answer"
    assert read("<think>red</think>").reason == "parse: the model wrote nothing"


def test_a_text_whose_reasoning_has_no_format_is_left_as_it_is():
    assert read("<think>a</think>b", format=None).values == {"label": "<think>a</think>b"}
