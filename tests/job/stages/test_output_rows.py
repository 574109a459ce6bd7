"""Answers into rows: one sample or several, a vote, rejects with their last reason, several labels of a row."""

import pyarrow as pa

from relabel.job.stages.answer import Answer
from relabel.job.stages.output_rows import MAX_REJECTED_TEXT, Asked, label_table, row_status
from relabel.spec import make_spec

FIELDS = {
    "source": {"path": "a", "format": "jsonl"},
    "prompt": {"user": "x"},
    "model": {"path": "m"},
    "output": {"path": "o"},
}
CHOICE = {"parse": "choice", "choices": ["a", "b"]}


def query_of(num_samples=1, name="", **label):
    sampling = {"num_samples": num_samples, "temperature": 0.5}
    section = {"labels": [{"name": name, **label}]} if name else {"label": label}
    return make_spec({**FIELDS, "sampling": sampling, **section}).queries[0]


def good(text, values=None):
    return Answer(text=text, reasoning=None, values=values or {"label": text}, reason=None)


def bad(text="?", reason="parse: no"):
    return Answer(text=text, reasoning=None, values=None, reason=reason)


def asked(*answers, reason=None, **fields):
    generated = [
        {
            "finish_reason": "stop" if answer else None,
            "error": None if answer else "nonfinite: x",
            "logprob": -0.5,
            "attempts": 2,
            "num_tokens": 3,
        }
        for answer in answers
    ]
    return Asked(reason=reason, answers=answers, generated=generated, prompt_tokens=7, **fields)


def row_of(query, row):
    return label_table(query, [row]).to_pylist()[0]


def test_a_label_with_its_text_and_figures():
    row = row_of(query_of(logprobs=True), asked(good("hello")))
    assert row == {
        "label": "hello", "text": "hello", "reasoning": None, "status": "ok", "reason": None, "finish_reason": "stop",
        "prompt_tokens": 7, "output_tokens": 3, "attempts": 2, "logprob": -0.5,
    }  # fmt: skip


def test_a_row_that_was_not_asked_has_its_reason_alone():
    row = row_of(query_of(), Asked(reason="image: truncated"))
    assert (row.pop("status"), row.pop("reason")) == ("rejected", "image: truncated")
    assert set(row.values()) == {None}


def test_a_text_without_a_label_is_kept_up_to_a_bound():
    row = row_of(query_of(), asked(bad("x" * 5000)))
    assert (row["status"], row["reason"], row["label"]) == ("rejected", "parse: no", None)
    assert row["text"] == "x" * MAX_REJECTED_TEXT


def test_the_remark_on_a_cut_prompt_stays_with_the_label():
    assert row_of(query_of(), asked(good("a"), reason="truncated: x"))["reason"] == "truncated: x"
    assert row_of(query_of(), asked(bad(), reason="truncated: x"))["reason"] == "parse: no"


def test_of_several_samples_each_has_its_place_and_one_label_is_enough():
    row = row_of(query_of(3), asked(bad("?"), good("b"), None))
    assert row["label"] == [None, "b", None]
    assert row["text"] == ["?", "b", None]
    assert row["finish_reason"] == ["stop", "stop", None]
    assert (row["status"], row["attempts"], row["output_tokens"]) == ("ok", 6, 9)
    assert row["reason"] == "nonfinite: x (2 of 3 samples have no label)"


def test_no_sample_with_a_label_is_a_reject():
    row = row_of(query_of(2), asked(bad(), bad(reason="parse: last")))
    assert (row["status"], row["reason"], row["label"]) == ("rejected", "parse: last", None)


def test_a_vote_keeps_the_most_frequent_answer_and_says_how_many_agree():
    row = row_of(query_of(4, **CHOICE, vote=True), asked(good("b"), good("a"), bad(), good("a")))
    assert (row["label"], row["agreement"]) == ("a", 0.5)
    assert row["text"] == ["b", "a", "?", "a"]
    assert row_of(query_of(2, **CHOICE, vote=True), asked(bad(), bad()))["agreement"] is None


def test_the_probability_of_each_choice_stands_by_its_name():
    row = row_of(query_of(**CHOICE, logprobs=True), asked(good("b"), probabilities=[0.25, 0.75]))
    assert row["probabilities"] == {"a": 0.25, "b": 0.75}


def test_a_row_with_several_labels_is_ok_if_all_are():
    queries = [query_of(name="one"), query_of(name="two")]
    tables = [
        label_table(queries[0], [asked(good("a")), asked(good("a"), reason="truncated: x"), asked(bad())]),
        label_table(queries[1], [asked(good("b")), asked(good("b")), asked(good("b"))]),
    ]
    assert row_status(queries, tables) == (["ok", "ok", "rejected"], [None, "truncated: x", "parse: no (label one)"])


def test_the_types_do_not_depend_on_what_the_rows_hold():
    query = query_of(3, **CHOICE, vote=True, logprobs=True)
    empty, full = label_table(query, [Asked(reason="x: y")]), label_table(query, [asked(good("a"), bad(), None)])
    assert empty.schema.equals(full.schema)
    assert not any(pa.types.is_null(type) for type in empty.schema.types)
