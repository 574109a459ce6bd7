"""A text into an answer: reasoning split off, parsed or refused."""

from relabel.engine import Constraint
from relabel.job.stages.answer import AnswerReader
from relabel.spec import Label


def read(text, constraint=None, **label):
    return AnswerReader(Label(**label)).read(text, constraint)


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


def test_a_text_that_is_held_to_a_label_has_no_thoughts_and_its_marks_are_text():
    pattern = {"parse": "regex", "pattern": ".+"}
    held, thinking = Constraint(kind="regex", value=".+"), Constraint(kind="regex", value=".+", after="</think>")
    text = "the tag </think> ends it"
    assert read(text, held, **pattern).text == text
    assert read(text + text, thinking, **pattern).text == " ends itthe tag </think> ends it"
