"""Answers into rows: one sample or several, a vote, rejects with their last reason, several labels of a row."""

import pyarrow as pa

from relabel.job.stages.answer import Answer
from relabel.job.stages.completions import Completion
from relabel.job.stages.outcome import LabelOutcome, Sample, make_outcome
from relabel.job.stages.output_rows import MAX_REJECTED_TEXT, label_table, row_status
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


def outcome(query, *answers, reason=None, **fields):
    samples = [
        Sample(
            completion=Completion(
                text=answer and answer.text,
                finish_reason="stop" if answer else None,
                error=None if answer else "nonfinite: x",
                logprob=-0.5,
                attempts=2,
                num_tokens=3,
            ),
            answer=answer,
        )
        for answer in answers
    ]
    return make_outcome(query.label, reason, samples, prompt_tokens=7, **fields)


def row_of(query, *answers, **fields):
    return label_table(query, [outcome(query, *answers, **fields)]).to_pylist()[0]


def test_a_label_with_its_text_and_figures():
    row = row_of(query_of(logprobs=True), good("hello"))
    assert row == {
        "label": "hello", "text": "hello", "reasoning": None, "status": "ok", "reason": None, "finish_reason": "stop",
        "prompt_tokens": 7, "output_tokens": 3, "attempts": 2, "logprob": -0.5,
    }  # fmt: skip


def test_a_row_that_was_not_asked_has_its_reason_alone():
    (row,) = label_table(query_of(), [LabelOutcome(reason="image: truncated")]).to_pylist()
    assert (row.pop("status"), row.pop("reason")) == ("rejected", "image: truncated")
    assert set(row.values()) == {None}


def test_a_text_without_a_label_is_kept_up_to_a_bound():
    row = row_of(query_of(), bad("x" * 5000))
    assert (row["status"], row["reason"], row["label"]) == ("rejected", "parse: no", None)
    assert row["text"] == "x" * MAX_REJECTED_TEXT


def test_the_remark_on_a_cut_prompt_stays_with_the_label():
    assert row_of(query_of(), good("a"), reason="truncated: x")["reason"] == "truncated: x"
    assert row_of(query_of(), bad(), reason="truncated: x")["reason"] == "parse: no"


def test_of_several_samples_each_has_its_place_and_one_label_is_enough():
    row = row_of(query_of(3), bad("?"), good("b"), None)
    assert row["label"] == [None, "b", None]
    assert row["text"] == ["?", "b", None]
    assert row["finish_reason"] == ["stop", "stop", None]
    assert (row["status"], row["attempts"], row["output_tokens"]) == ("ok", 6, 9)
    assert row["reason"] == "nonfinite: x (2 of 3 samples have no label)"


def test_no_sample_with_a_label_is_a_reject():
    row = row_of(query_of(2), bad(), bad(reason="parse: last"))
    assert (row["status"], row["reason"], row["label"]) == ("rejected", "parse: last", None)


def test_a_vote_keeps_the_most_frequent_answer_and_says_how_many_agree():
    row = row_of(query_of(4, **CHOICE, vote=True), good("b"), good("a"), bad(), good("a"))
    assert (row["label"], row["agreement"]) == ("a", 0.5)
    assert row["text"] == ["b", "a", "?", "a"]
    assert row_of(query_of(2, **CHOICE, vote=True), bad(), bad())["agreement"] is None


def test_the_probability_of_each_choice_stands_by_its_name():
    row = row_of(query_of(**CHOICE, logprobs=True), good("b"), probabilities=[0.25, 0.75])
    assert row["probabilities"] == {"a": 0.25, "b": 0.75}


def test_a_row_with_several_labels_is_ok_if_all_are():
    one, two = query_of(name="one"), query_of(name="two")
    tables = [
        label_table(
            one, [outcome(one, good("a")), outcome(one, good("a"), reason="truncated: x"), outcome(one, bad())]
        ),
        label_table(two, [outcome(two, good("b"))] * 3),
    ]
    assert row_status([one, two], tables) == (["ok", "ok", "rejected"], [None, "truncated: x", "parse: no (label one)"])


def test_the_types_do_not_depend_on_what_the_rows_hold():
    query = query_of(3, **CHOICE, vote=True, logprobs=True)
    empty = label_table(query, [LabelOutcome(reason="x: y")])
    full = label_table(query, [outcome(query, good("a"), bad(), None)])
    assert empty.schema.equals(full.schema)
    assert not any(pa.types.is_null(type) for type in empty.schema.types)
