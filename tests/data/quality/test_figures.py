import json
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relabel.data.quality.distinct import distinct
from relabel.data.quality.figures import Quality, measure, merge

LOOP = "round and " * 20
NOTHING = "parse: the model wrote nothing"
EXACT = (
    "num_rows",
    "num_labels",
    "empty",
    "truncated",
    "repeated",
    "refused",
    "length",
    "compared",
    "changed",
    "unchanged",
)
LABELS = st.sampled_from([None, "a cat", "a  cat", "a dog", "a red star", LOOP, "I can't help with that"])
ENDS, REASONS = st.sampled_from([None, "stop", "length"]), st.sampled_from([NOTHING, "parse: not JSON"])
ROWS = st.lists(st.tuples(LABELS, ENDS, LABELS | st.just(""), REASONS), max_size=20)


def measured(rows, first=0, with_old=True):
    """Rows of a label, why it ended, an old label, and why there is none where there is none."""
    texts, ends, old = ([row[at] for row in rows] for at in range(3))
    reasons = [row[3] if row[0] is None else None for row in rows]
    return measure(texts, ends, range(first, first + len(rows)), old if with_old else None, reasons)


def captions(rng, num_rows, num_words=30):
    """Sentences of made-up words, a few of which are very frequent."""
    return [" ".join(f"w{min(int(rng.paretovariate(0.7)), 20_000)}" for _ in range(num_words)) for _ in range(num_rows)]


def test_the_figures_of_a_part():
    quality = measure(
        texts=["a cat", None, None, LOOP, "I'm sorry, but no", "a  cat ", "a bird"],
        finish_reasons=["stop", None, "stop", "length", "stop", "length", "stop"],
        rows=[10, 11, 12, 13, 14, 15, 16],
        old=["a cat", "a dog", "a dog", None, "a dog", "a cat", "a dog"],
        reasons=[None, "image: broken", NOTHING, None, None, None, f"{NOTHING} (1 of 3 samples have no label)"],
    )
    assert (quality.num_rows, quality.num_labels, quality.compared) == (7, 5, 4)
    assert (quality.empty, quality.truncated, quality.repeated, quality.refused) == (1, 2, 1, 1)
    assert (quality.changed, quality.unchanged, quality.duplicates) == (2, 2, 1), "white space is no difference"
    assert quality.examples == {
        "empty": (("", 12),),
        "truncated": (("", 13), ("", 15)),
        "repeated": (("", 13),),
        "refused": (("", 14),),
        "changed": (("", 14), ("", 16)),
    }


def test_the_rates_of_a_part():
    texts, old = ["a cat", "a cat", "a dog", "cat", None], ["a cat", "x", None, "a bird", None]
    rates = measure(texts, ["stop"] * 5, range(5), old, [*[None] * 4, NOTHING]).rates()
    assert rates == {
        "empty": 0.2,
        "truncated": 0,
        "repeated": 0,
        "refused": 0,
        "duplicates": 0.25,
        "unchanged": pytest.approx(1 / 3),
        "changed": pytest.approx(2 / 3),
        "length_drift": pytest.approx(1 / 12),
        "vocabulary_drift": pytest.approx(0.275, abs=0.01),
    }


def test_without_labels_or_old_ones_there_are_no_rates():
    rates = measure([None], [None], [0]).rates()
    assert rates.pop("empty") == 0, "a share of all rows"
    assert set(rates.values()) == {None}
    assert {name for name, rate in measure(["a"], ["stop"], [0]).rates().items() if rate is None} == {
        *("changed", "unchanged", "length_drift", "vocabulary_drift")
    }


@given(ROWS, ROWS, st.booleans())
def test_the_merged_figures_of_two_parts_are_those_of_one(some, others, with_old):
    parts = [measured(some, 0, with_old), measured(others, len(some), with_old)]
    merged, whole = merge(parts), measured(some + others, 0, with_old)
    assert [getattr(merged, name) for name in EXACT] == [getattr(whole, name) for name in EXACT]
    assert merged.rates() == whole.rates()
    assert merged.examples == whole.examples


@given(st.lists(ROWS, min_size=2, max_size=5), st.randoms(use_true_random=False))
def test_parts_merge_in_any_order_and_in_any_groups(parts, rng):
    """Also where the sample of the distinct labels is cut, here after 2 labels of a part."""
    qualities = [
        replace(measured(rows), distinct=distinct([row[0] for row in rows if row[0]], at_most=2)).in_file(
            f"{at}.parquet"
        )
        for at, rows in enumerate(parts)
    ]
    whole = merge(qualities)
    rng.shuffle(qualities)
    at = rng.randrange(len(qualities) + 1)
    assert merge([merge(qualities[:at]), merge(qualities[at:])]) == whole
    assert merge([whole]) == whole
    assert merge([]) == Quality()


@given(ROWS, st.booleans())
def test_json_and_back(rows, with_old):
    for quality in (measured(rows, 0, with_old), merge([measured(rows), measured(rows, 20).in_file("a.parquet")])):
        assert Quality.from_json(json.loads(json.dumps(quality.to_json()))) == quality


@pytest.mark.parametrize(
    "value",
    [
        None,
        {"good": 1},
        {"num_rows": "1"},
        {"num_rows": True},
        {"words": 1},
        {"distinct": {}},
        {"distinct": {"total": 1, "hashes": "12"}},
        {"distinct": {"total": 1, "hashes": "no"}},
        {"distinct": {"total": 1, "hashes": "", "parts": [1]}},
        {"examples": []},
        {"examples": {"empty": [["a.parquet"]]}},
    ],
)
def test_what_is_no_quality_is_refused(value):
    with pytest.raises(ValueError):
        Quality.from_json(value)


@pytest.mark.parametrize(
    ("num_rows", "num_bytes"), [(1, 2_000), (16, 2_500), (128, 5_000), (1_024, 7_500), (20_000, 9_000)]
)
def test_the_json_of_a_part_is_small(num_rows, num_bytes):
    """A label that is compared has the most to say. Here also everything that has examples went wrong."""
    rng = random.Random(1)
    texts, old = captions(rng, num_rows), captions(rng, num_rows)
    texts[: num_rows // 4] = ["x", LOOP, "I can't help with that"] * (num_rows // 12)
    quality = measure(texts, ["length"] * len(texts), range(10**7, 10**7 + len(texts)), old)
    assert len(json.dumps(quality.to_json())) < num_bytes


def test_a_label_without_an_old_one_says_less():
    texts = captions(random.Random(1), 1_024)
    assert len(json.dumps(measure(texts, ["stop"] * 1_024, range(1_024)).to_json())) < 4_500


def test_the_summary_is_for_people_and_has_no_hashes():
    rows = [(label, "stop", "a cat", None) for label in captions(random.Random(1), 200)]
    summary = merge([measured(rows).in_file("a.parquet"), measured(rows, 200).in_file("b.parquet")]).summary()
    assert summary["counts"]["duplicates"] == 200
    assert summary["examples"] == {"changed": [["a.parquet", 0], ["a.parquet", 1], ["a.parquet", 2]]}
    assert len(json.dumps(summary)) < 800
    assert json.loads(json.dumps(summary)) == summary


def test_a_run_is_estimated_from_its_parts():
    """60 parts of 500 rows; a fifth of all labels were there before, some in the part and some in another."""
    rng = random.Random(1)
    labels = [f"label {row if rng.random() < 0.8 else rng.randrange(row + 1)}" for row in range(30_000)]
    run = merge(
        measure(labels[at : at + 500], ["stop"] * 500, range(at, at + 500)) for at in range(0, len(labels), 500)
    )
    assert run.rates()["duplicates"] == pytest.approx(1 - len(set(labels)) / len(labels), abs=0.01)


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 1])
def test_drift_grows_with_the_share_of_other_words(share):
    rng = random.Random(2)
    old = captions(rng, 2_000)
    new = [
        " ".join(f"x{word}" if rng.random() < share else word for word in text.split()) for text in captions(rng, 2_000)
    ]
    drift = measure(new, ["stop"] * 2_000, range(2_000), old).rates()["vocabulary_drift"]
    expected = {0: (0, 0.003), 0.1: (0.02, 0.1), 0.5: (0.2, 0.5), 1: (0.5, 1)}[share]
    assert drift is not None
    assert expected[0] <= drift <= expected[1]
