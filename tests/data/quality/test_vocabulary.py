import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relabel.data.quality.vocabulary import NUM_BUCKETS, add_words, count_words, divergence

TEXTS = st.lists(st.text(max_size=30), max_size=5)


def drawn(rng, num_words, first=0):
    """Texts of words that are drawn as in a language: a few of them very often."""
    return [f"w{first + min(int(rng.paretovariate(0.8)), 5000)}" for _ in range(num_words)]


def test_words_are_counted_whatever_their_case_and_marks():
    assert count_words(["A cat, a dog."]) == count_words(["DOG cat a", "(a)"])
    assert sum(count_words(["A cat, a dog."])) == 4


def test_a_script_without_spaces_is_counted_by_characters():
    assert count_words(["红色的猫。"]) == count_words(["猫 的 色 红"])
    assert sum(count_words(["สวัสดี"])) > 1
    assert sum(count_words(["빨간 고양이"])) == 2


@given(TEXTS, TEXTS)
def test_counts_add_up(some, others):
    assert add_words([count_words(some), (), count_words(others)]) == count_words(some + others)
    assert add_words([(), ()]) == ()


def test_the_same_words_are_not_apart_and_other_words_are():
    cats, dogs = count_words(["the cat sat"]), count_words(["a dog ran"])
    assert divergence(cats, cats) == 0
    assert divergence(cats, dogs) == pytest.approx(1)
    assert divergence(cats, count_words(["the cat ran"])) == pytest.approx(1 / 3)
    assert divergence(cats, count_words([])) is divergence((), ()) is None


@given(TEXTS, TEXTS)
def test_it_is_a_symmetric_share(some, others):
    one, other = count_words(some), count_words(others)
    if (apart := divergence(one, other)) is not None:
        assert 0 <= apart <= 1
        assert apart == pytest.approx(divergence(other, one))


@pytest.mark.parametrize("num_words", [4_000, 30_000, 200_000])
def test_two_samples_of_one_vocabulary_are_as_far_apart_as_is_said(num_words):
    """At most: the formula takes every bucket for well filled."""
    rng = random.Random(num_words)
    one, other = (count_words(drawn(rng, num_words)) for _ in range(2))
    expected = 46 * (1 / num_words + 1 / num_words)
    assert 0.6 * expected < (divergence(one, other) or 0) < 1.3 * expected


def test_buckets_hide_little_of_a_drift():
    """A tenth of the words are replaced by others; word by word that is 0.1 too."""
    rng = random.Random(1)
    old = drawn(rng, 100_000)
    new = [word if rng.random() < 0.9 else f"new{rng.randrange(1000)}" for word in old]
    assert 0.02 < (divergence(count_words(new), count_words(old)) or 0) < 0.1
    assert len(count_words(old)) == NUM_BUCKETS
