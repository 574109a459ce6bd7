import random

import pytest

from relabel.data.quality.measure import measure
from tests.data.quality.kit import LOOP, NOTHING, captions


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
