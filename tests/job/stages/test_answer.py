"""Token ids into an answer: decoded, cut at a stop text, reasoning split off, parsed or refused."""

from relabel.engine import Constraint
from relabel.job.stages.answer import Reader
from relabel.spec import make_spec
from tests.tiny import make_tokenizer

FIELDS = {
    "source": {"path": "a", "format": "jsonl"},
    "prompt": {"user": "x"},
    "model": {"path": "m"},
    "output": {"path": "o"},
}


def read(text, *, label=None, **sampling):
    tokenizer = make_tokenizer()
    (query,) = make_spec({**FIELDS, "label": label or {}, "sampling": sampling}).queries
    return Reader(query, tokenizer).read(tokenizer(text, add_special_tokens=False)["input_ids"])


def test_the_label_is_what_the_parser_takes_and_the_text_is_what_was_written():
    answer = read(" a red circle ")
    assert (answer.text, answer.values, answer.reason) == (" a red circle ", {"label": "a red circle"}, None)


def test_a_stop_text_and_what_follows_is_no_part_of_the_text():
    assert read("a circle## more", stop=["##"]).text == "a circle"


def test_reasoning_is_split_off_before_parsing():
    answer = read("<think>red or blue?</think>\nred", label={"parse": "choice", "choices": ["red", "blue"]})
    assert (answer.reasoning, answer.values) == ("red or blue?", {"label": "red"})


def test_a_text_that_is_no_label_has_a_reason_that_does_not_quote_it():
    answer = read("green", label={"parse": "choice", "choices": ["red", "blue"]})
    assert answer.values is None
    assert answer.reason.startswith("parse: ")
    assert "green" not in answer.reason


def test_a_character_that_was_cut_in_two_is_marked_and_any_tokens_are_text():
    tokenizer = make_tokenizer()
    (query,) = make_spec(FIELDS).queries
    half = tokenizer("ü", add_special_tokens=False)["input_ids"][:1]
    assert Reader(query, tokenizer).read(half).text == "\N{REPLACEMENT CHARACTER}"


def test_a_text_that_is_held_to_a_label_has_no_thoughts_and_its_marks_are_text():
    tokenizer = make_tokenizer()
    (query,) = make_spec({**FIELDS, "label": {"parse": "regex", "pattern": ".+"}}).queries
    ids = tokenizer("the tag </think> ends it", add_special_tokens=False)["input_ids"]
    held, thinking = Constraint(kind="regex", value=".+"), Constraint(kind="regex", value=".+", after="</think>")
    assert Reader(query, tokenizer, held).read(ids).text == "the tag </think> ends it"
    assert Reader(query, tokenizer, thinking).read(ids + ids).text == " ends itthe tag </think> ends it"
