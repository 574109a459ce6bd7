"""Figures in groups say what the figures of all parts say, also after some of the groups are gone."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relabel.data.quality.distinct import ALL, NUM_OF_RUN, Distinct
from relabel.data.quality.figures import Quality
from relabel.data.quality.groups import GROUP_PARTS, MOST_HASHES, NUM_KEPT, Groups
from relabel.data.quality.hashes import Hashes
from relabel.data.quality.measure import measure
from relabel.data.quality.merge import merge


def quality_of(labels):
    return measure(labels, ["stop"] * len(labels), range(len(labels))).in_file("a.parquet")


def sampled(seed, num_hashes=256, share=4):
    """As of a part of `num_hashes * share` different labels, of which a sample is kept."""
    number = random.Random(seed)
    hashes = [number.randrange(ALL // share) for _ in range(num_hashes)]
    distinct = Distinct(total=num_hashes * share, below=ALL // share, parts=Hashes.of(hashes))
    return Quality(num_rows=1024, num_labels=1024, distinct=distinct)


def filled(figures, groups=None):
    """The groups, and the number of the group of each part."""
    groups = groups or Groups()
    return groups, [groups.add(one) for one in figures]


def again(groups, numbers):
    """As they are written down and read back: the groups, and the numbers of the parts in them."""
    new, kept, below = groups.kept()
    return Groups(kept, below), [new[number] for number in numbers], kept


LABELS = st.lists(st.sampled_from(["a", "b", "c", "round and " * 20, ""]), min_size=1, max_size=4)


@settings(max_examples=25)
@given(
    st.lists(st.dictionaries(st.sampled_from(["", "kind"]), LABELS, max_size=2), max_size=12),
    st.integers(0, 4),
    st.data(),
)
def test_groups_say_what_all_parts_say_whichever_groups_are_dropped(parts, seen_before, data):
    figures = [{name: quality_of(labels) for name, labels in part.items()} for part in parts]
    before, numbers = filled(figures[:seen_before])
    groups, numbers, kept = again(before, numbers)
    broken = set(data.draw(st.sets(st.sampled_from(sorted(set(numbers))) if numbers else st.nothing())))
    groups.drop(broken)
    left = [one for one, number in zip(figures, numbers, strict=False) if number not in broken]
    groups.add_alone(alone := {"": quality_of(["d"])})
    for one in figures[seen_before:]:
        groups.add(one)
    names = {name for one in [*left, *figures[seen_before:], alone] for name in one}
    everything = [*left, *figures[seen_before:], alone]
    assert sum(group.num_parts for group in kept) == len(figures[:seen_before])
    assert groups.total() == {name: merge(one[name] for one in everything if name in one) for name in sorted(names)}


def test_a_group_is_full_with_256_parts_and_small_ones_become_one():
    figures = [{"": quality_of([f"label {number}"])} for number in range(GROUP_PARTS + 10)]
    groups, numbers = filled(figures)
    assert numbers == [0] * GROUP_PARTS + [1] * 10
    groups, numbers, kept = again(groups, numbers)
    assert [group.num_parts for group in kept] == [GROUP_PARTS, 10]
    _, more = filled(figures[:5], groups)
    assert set(more) == {2}
    groups, numbers, kept = again(groups, numbers + more)
    assert [group.num_parts for group in kept] == [GROUP_PARTS, 15]
    assert numbers == [0] * GROUP_PARTS + [1] * 15
    assert groups.total() == {"": merge(one[""] for one in figures + figures[:5])}


@pytest.fixture(scope="module")
def many():
    """Two labels: of the one 1,536 parts have 393,216 hashes, all others; of the other all have the same three."""
    same = quality_of(["x", "y", "z"])
    return [{"": sampled(seed), "kind": same} for seed in range(6 * GROUP_PARTS)]


@pytest.fixture(scope="module")
def expected(many):
    return {name: merge(one[name] for one in many) for name in ("", "kind")}


def test_hashes_that_no_sample_can_need_are_left_out_and_the_total_is_the_same(many, expected):
    groups, numbers = filled(many)
    assert groups.total() == expected
    groups, _, kept = again(groups, numbers)
    assert sum(len(group.figures[""].distinct.parts) for group in kept) == NUM_KEPT
    assert [len(group.figures["kind"].distinct.parts) for group in kept] == [3] * 6
    assert groups.total() == expected


def test_where_hashes_that_were_left_out_are_missing_there_is_no_total(many):
    groups, numbers = filled(many)
    groups, numbers, _ = again(groups, numbers)
    groups.drop([0])
    one_less = groups.total()
    assert one_less is not None
    assert len(one_less[""].distinct.parts) == NUM_OF_RUN
    assert one_less[""] == merge(one[""] for one in many[GROUP_PARTS:])
    groups.drop([1])
    assert groups.total() is None
    groups.clear()
    for one in many[:3]:
        groups.add(one)
    assert groups.total() == {name: merge(one[name] for one in many[:3]) for name in ("", "kind")}


def test_where_most_parts_have_the_same_labels_there_are_fewer_groups():
    """Each of 6 groups would hold the same 60,000 hashes."""
    labels = sampled(0, num_hashes=60_000, share=1)
    _, kept, below = filled([{"": labels}] * GROUP_PARTS)[0].kept()
    numbers = [number for number in range(6) for _ in range(GROUP_PARTS)]
    groups, numbers, kept = again(Groups(kept * 6, below), numbers)
    assert sum(len(group.figures[""].distinct.parts) for group in kept) <= MOST_HASHES
    assert len(kept) < 6
    assert [numbers.count(number) for number in range(len(kept))] == [group.num_parts for group in kept]
    total = groups.total()
    assert total is not None
    assert total[""].distinct.total == 6 * GROUP_PARTS * 60_000
    assert set(total[""].distinct.parts.values()) == {6 * GROUP_PARTS}


def test_parts_that_are_in_no_group_are_merged_when_there_are_many():
    groups = Groups()
    figures = [{"": quality_of([f"label {number % 7}"])} for number in range(GROUP_PARTS + 3)]
    for one in figures:
        groups.add_alone(one)
    assert groups.total() == {"": merge(one[""] for one in figures)}
    assert groups.kept() == ({}, [], {})
