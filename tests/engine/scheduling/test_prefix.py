"""Which tokens rows have in common at their start, over any prompts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from relabel.engine.scheduling.prefix import LEAST_SAVED, MOST, SHORTEST, find_prefix_groups, shared_prefixes

MANY = LEAST_SAVED // SHORTEST + 2
"""So often a prefix of any length that is shared at all is worth it."""
SYSTEM = list(range(100, 100 + SHORTEST + 4))


@st.composite
def prompts(draw: st.DrawFn) -> list[list[int]]:
    """Some of two beginnings, cut anywhere, with a few tokens behind."""
    beginning = st.sampled_from([SYSTEM, [*SYSTEM[:SHORTEST], 1, 2, 3]])
    length, tail = st.integers(0, 2 * SHORTEST), st.lists(st.integers(0, 2), max_size=4)
    return [draw(beginning)[: draw(length)] + draw(tail) for _ in range(draw(st.integers(0, 8)))] * MANY


def shared(prompts: list[list[int]]) -> list[int]:
    """Of prompts that come so often that any prefix is worth it."""
    return shared_prefixes(prompts * MANY)[: len(prompts)]


@given(prompts())
def test_what_is_shared_is_worth_it_and_another_prompt_begins_with_it_too(prompts: list[list[int]]) -> None:
    lengths = shared_prefixes(prompts)
    assert len(lengths) == len(prompts)
    for row, (prompt, length) in enumerate(zip(prompts, lengths, strict=True)):
        assert length == 0 or SHORTEST <= length < len(prompt)
        if length:
            others = [other for at, other in enumerate(prompts) if at != row and other[:length] == prompt[:length]]
            assert others


@given(prompts())
def test_no_prompt_that_could_share_is_left_out_and_each_group_shares_all_it_has_in_common(
    prompts: list[list[int]],
) -> None:
    for row, (prompt, length) in enumerate(zip(prompts, shared_prefixes(prompts), strict=True)):
        group = [other for other in prompts if len(other) > SHORTEST and other[:SHORTEST] == prompt[:SHORTEST]]
        if len(prompt) <= SHORTEST:
            assert length == 0, row
            continue
        nexts = {tuple(other[length : length + 1]) for other in group}
        assert len(nexts) > 1 or any(len(other) == length + 1 for other in group), "one token more is not common"


def test_a_system_prompt_is_shared_by_all_that_begin_with_it() -> None:
    assert shared([[*SYSTEM, 1, 2], [*SYSTEM, 3], [*SYSTEM, 1]]) == [len(SYSTEM)] * 3


def test_two_system_prompts_are_two_groups_and_a_prompt_of_its_own_shares_nothing() -> None:
    other = [7, *SYSTEM]
    prompts = [[*SYSTEM, 1], [*other, 1], [*SYSTEM, 2], [*other, 2]] * MANY
    assert shared_prefixes([[5] * 40, *prompts])[:5] == [0, len(SYSTEM), len(other), len(SYSTEM), len(other)]


def test_the_last_token_of_the_shortest_prompt_stays_its_own() -> None:
    assert shared([SYSTEM, SYSTEM]) == [len(SYSTEM) - 1] * 2
    assert shared([SYSTEM, [*SYSTEM, 1, 2], [*SYSTEM, 1, 2, 3]]) == [len(SYSTEM) - 1] * 3


def test_a_few_tokens_in_common_are_not_worth_it() -> None:
    few = SYSTEM[: SHORTEST - 1]
    assert shared([[*few, 1], [*few, 2]]) == [0, 0]
    assert shared_prefixes([[*SYSTEM, 1], [*SYSTEM, 2]]) == [0, 0], "one prompt of them is soon computed twice"
    assert shared_prefixes([]) == []


def test_only_the_prefixes_that_save_most_are_computed_apart() -> None:
    prompts = [[begin, *SYSTEM * begin, row] for begin in range(1, MOST + 3) for row in range(MANY)]
    lengths = shared_prefixes(prompts)
    assert [length > 0 for length in lengths] == [prompt[0] > 2 for prompt in prompts]


def test_a_family_shares_what_all_its_prompts_begin_with_short_of_their_last_token() -> None:
    one, other, third = [*SYSTEM, 1, 2], [*SYSTEM, 1, 3], SYSTEM
    assert find_prefix_groups([one, third, other], [7, None, 7], [0, 0, 0]) == [
        (0, len(SYSTEM) + 1),
        None,
        (0, len(SYSTEM) + 1),
    ]
    assert find_prefix_groups([one, one], [7, 7], [0, 0]) == [(0, len(one) - 1)] * 2
    assert find_prefix_groups([third, one], [7, 7], [0, 0]) == [(0, len(SYSTEM) - 1)] * 2


def test_no_family_of_one_of_a_few_tokens_or_with_other_images() -> None:
    assert find_prefix_groups([SYSTEM, SYSTEM], [7, 8], [0, 0]) == [None, None]
    assert find_prefix_groups([[1, 2, 3], [1, 2, 4]], [7, 7], [0, 0]) == [None, None]
    assert find_prefix_groups([[*SYSTEM, 1], [*SYSTEM, 2]], [7, 7], [0, len(SYSTEM) + 1]) == [None, None]
