import pytest

from relabel.data.quality.figures import Quality
from relabel.data.quality.gate import exceeded
from relabel.data.quality.measure import measure
from relabel.data.quality.merge import merge
from relabel.spec import Gate

LOOP = "round and " * 20


def measured(*texts, finish="stop", old=None):
    """A row without a text is one for which the model wrote nothing."""
    reasons = ["parse: the model wrote nothing" if text is None else None for text in texts]
    return measure(texts, [finish] * len(texts), range(len(texts)), old, reasons).in_file("data/a.parquet")


def only(gate: Gate, quality: Quality, rows: int = 0, rejected: int = 0):
    """The one sentence about a single label, or None."""
    found = exceeded({"": gate}, {"": quality}, rows=rows or quality.num_labels, rejected=rejected)
    assert len(found) <= 1
    return found[0] if found else None


def test_a_limit_that_is_exceeded_is_a_sentence_with_the_figure_the_limit_and_examples():
    quality = measured(LOOP, *(f"label {number}" for number in range(42)))
    assert only(Gate(max_repeated=0.01), quality) == (
        "2.3 % of the labels repeat themselves, the limit is label.gate.max_repeated 1.0 %: "
        "for example data/a.parquet row 0"
    )


@pytest.mark.parametrize(
    ("gate", "quality", "sentence"),
    [
        (
            Gate(max_empty=0.1),
            measured("x", None),
            "for 50.0 % of the rows the model wrote nothing, the limit is label.gate.max_empty 10.0 %: "
            "for example data/a.parquet row 1",
        ),
        (
            Gate(max_truncated=0.1),
            measured("a b", finish="length"),
            "100.0 % of the labels are cut off by max_new_tokens, the limit is label.gate.max_truncated 10.0 %",
        ),
        (Gate(max_refused=0), measured("I can't help with that"), "100.0 % of the labels refuse to answer, the limit"),
        (
            Gate(max_duplicates=0.4),
            measured("cat", "cat", "cat", "dog"),
            "50.0 % of the labels are duplicates of others, the limit is label.gate.max_duplicates 40.0 %",
        ),
        (
            Gate(max_changed=0.2),
            measured("cat", "dog", old=["cat", "hog"]),
            "50.0 % of the labels differ from the old ones, the limit is label.gate.max_changed 20.0 %: "
            "for example data/a.parquet row 1",
        ),
        (
            Gate(max_unchanged=0.2),
            measured("cat", "dog", old=["cat", "hog"]),
            "50.0 % of the labels are the same as the old ones, the limit is label.gate.max_unchanged 20.0 %",
        ),
        (
            Gate(max_length_drift=0.2),
            measured("cats", old=["cat"]),
            "the labels are 33.3 % longer than the old ones, the limit is label.gate.max_length_drift 20.0 %",
        ),
        (
            Gate(max_length_drift=0.2),
            measured("cat", old=["catcat"]),
            "the labels are 50.0 % shorter than the old ones, the limit is label.gate.max_length_drift 20.0 %",
        ),
        (
            Gate(max_vocabulary_drift=0.2),
            measured("cat", old=["dog"]),
            "the words of the labels are 100.0 % away from those of the old ones, the limit is "
            "label.gate.max_vocabulary_drift 20.0 %",
        ),
    ],
)
def test_every_limit_has_its_sentence(gate, quality, sentence):
    assert (only(gate, quality) or "").startswith(sentence)


def test_a_figure_at_its_limit_does_not_exceed_it():
    quality = measured(None, "x", "y", "z", *"abcdef", old=["longer"] * 10)
    assert only(Gate(max_empty=0.1, max_changed=1), quality) is None
    assert only(Gate(max_length_drift=0.1), measured("x" * 11, old=["x" * 10])) is None


def test_a_figure_is_never_shown_as_its_limit():
    quality = Quality(num_labels=100_000, truncated=1_001)
    assert only(Gate(max_truncated=0.01), quality) == (
        "1.001 % of the labels are cut off by max_new_tokens, the limit is label.gate.max_truncated 1.000 %"
    )


def test_rejects_are_a_share_of_all_rows():
    gate, quality = Gate(max_rejected=0.25), measured("x", "y", None, None)
    assert only(gate, quality, rows=4, rejected=1) is None
    assert only(gate, quality, rows=4, rejected=2) == (
        "50.0 % of the rows have no label, the limit is label.gate.max_rejected 25.0 %"
    )


def test_of_several_labels_each_has_its_own_limits_and_its_own_rejects():
    """Of four rows one has no `short` and two have no `long`, so that three are rejected."""
    quality = {"short": measured("a", "b", None, "d"), "long": measured(None, LOOP, "c", None)}
    gates = {"short": Gate(max_rejected=0.25), "long": Gate(max_rejected=0.25, max_repeated=0.1)}
    assert exceeded(gates, quality, rows=4, rejected=3) == [
        "50.0 % of the rows have no label, the limit is labels.long.gate.max_rejected 25.0 %",
        "50.0 % of the labels repeat themselves, the limit is labels.long.gate.max_repeated 10.0 %: "
        "for example data/a.parquet row 1",
    ]


def test_a_run_without_a_label_is_no_success_whatever_its_limits():
    zero = Gate.model_validate(dict.fromkeys(Gate.model_fields, 0))
    for quality in ({}, {"": measure([None, None], [None, None], [0, 1])}):
        for gate in (zero, Gate(max_rejected=None)):
            assert exceeded({"": gate}, quality, rows=2, rejected=2) == ["no row has a label: all 2 are rejected"]
    assert exceeded({"": zero}, {}, rows=0, rejected=0) == []


def test_of_several_labels_the_one_that_no_row_has_is_named():
    quality = {"short": measured("a", "b"), "long": measured(None, None)}
    gates = {"short": Gate(), "long": Gate(max_rejected=1.0)}
    assert exceeded(gates, quality, rows=2, rejected=2) == ["no row has a label long: all 2 are rejected"]


def test_without_limits_nothing_is_wrong():
    assert only(Gate(), measured(None, LOOP, LOOP, finish="length", old=[None, "x", ""])) is None


def test_examples_of_the_run_are_the_first_few_of_its_parts():
    parts = [measure([LOOP], ["stop"], [row]).in_file(f"{name}.parquet") for row in (9, 2) for name in "ba"]
    assert (only(Gate(max_repeated=0), merge(parts)) or "").endswith(
        ": for example a.parquet row 2, a.parquet row 9, b.parquet row 2"
    )


def test_a_figure_that_is_over_its_limit_by_less_than_is_shown_is_over_it_all_the_same():
    """With four digits both are the same, and more would be no figure that anyone reads."""
    sentence = only(Gate(max_rejected=0.25), measured("x"), rows=4_000_000, rejected=1_000_001)
    assert sentence == "25.0000 % of the rows have no label, the limit is label.gate.max_rejected 25.0000 %"
