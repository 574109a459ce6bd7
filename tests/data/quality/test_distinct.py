import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relabel.data.quality.distinct import Distinct, distinct, merge_distinct

LABELS = st.lists(st.sampled_from([f"label {number}" for number in range(30)]), max_size=40)


def count_of(parts):
    return merge_distinct(distinct(part) for part in parts).count()


def cut(labels, size=500):
    return [labels[at : at + size] for at in range(0, len(labels), size)]


@given(st.lists(LABELS, max_size=5))
def test_few_labels_are_counted_exactly(parts):
    assert count_of(parts) == len({label for part in parts for label in part})


@given(st.lists(LABELS, min_size=3, max_size=6), st.randoms(use_true_random=False))
def test_parts_merge_in_any_order_and_in_any_groups(parts, random):
    """Also where samples are cut, here after 5 labels of a part and 8 of the run."""
    samples = [distinct(part, at_most=5) for part in parts]
    whole = merge_distinct(samples, at_most=8)
    random.shuffle(samples)
    at = random.randrange(len(samples) + 1)
    halves = [merge_distinct(half, at_most=8) for half in (samples[:at], samples[at:])]
    assert merge_distinct(halves, at_most=8) == whole


def test_where_all_labels_differ_none_is_a_duplicate():
    assert count_of(cut([str(number) for number in range(100_000)])) == 100_000


@pytest.mark.parametrize(("num_labels", "seed"), [(20_000, 1), (20_000, 2), (50_000, 3), (150_000, 4)])
def test_a_large_run_is_estimated_within_three_standard_errors(num_labels, seed):
    """Each label is drawn from as many as there are rows: 37 % are duplicates, nearly all across parts."""
    rng = random.Random(seed)
    labels = [str(rng.randrange(num_labels)) for _ in range(num_labels)]
    sample = merge_distinct(distinct(part) for part in cut(labels))
    assert len(sample.parts) > 4_000
    in_parts = list(sample.parts.values())
    mean = sum(in_parts) / len(in_parts)
    spread = (sum((number - mean) ** 2 for number in in_parts) / len(in_parts)) ** 0.5 / mean
    assert sample.count() == pytest.approx(len(set(labels)), rel=3 * spread / len(in_parts) ** 0.5)


@pytest.mark.parametrize("num_frequent", [1, 20, 500])
def test_a_few_frequent_labels_are_not_overlooked(num_frequent):
    """Half of the rows have one of a few labels, which a sample of one label in seven may well not hold."""
    rng = random.Random(num_frequent)
    labels = [
        f"frequent {rng.randrange(num_frequent)}" if rng.random() < 0.5 else str(number) for number in range(100_000)
    ]
    duplicates = 1 - count_of(cut(labels)) / len(labels)
    assert duplicates == pytest.approx(1 - len(set(labels)) / len(labels), abs=0.01)


def test_a_part_counts_each_of_its_labels_once():
    sample = distinct(["a", "b", "a", "a"])
    assert (sample.total, set(sample.parts.values()), sample.count()) == (2, {1}, 2)


@pytest.mark.parametrize("num_labels", [0, 1, 256, 257, 5_000])
def test_json_and_back(num_labels):
    part = distinct(str(number) for number in range(num_labels))
    run = merge_distinct([part, part, distinct(["0"])])
    for sample in (part, run):
        assert Distinct.from_json(sample.to_json()) == sample
