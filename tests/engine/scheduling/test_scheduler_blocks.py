"""Which blocks of the KV cache rows take by example, and who gives way where there is none."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relabel.engine.scheduling.blocks import Blocks
from relabel.engine.scheduling.scheduler import Scheduler
from relabel.engine.scheduling.step import DecodeRow, Layout, Limits, PrefillChunk, PrefixGroup, Step, TakenBlock


def scheduler_of(*prompts: int, num_blocks: int, new_tokens: int) -> Scheduler:
    """Rows 0, 1, ... with prompts of these lengths; a block is four tokens."""
    scheduler = Scheduler(Limits(kv_tokens=4 * num_blocks, num_slots=4, step_tokens=100, block_tokens=4))
    for row, prompt_tokens in enumerate(prompts):
        scheduler.add(row, prompt_tokens=prompt_tokens, new_tokens=new_tokens)
    return scheduler


def expect_short_texts(scheduler: Scheduler, new_tokens: int) -> None:
    """A row ends with its first token."""
    scheduler.add(99, prompt_tokens=1, new_tokens=new_tokens)
    scheduler.step()
    scheduler.end(99)


def test_a_row_takes_the_blocks_of_its_prompt_and_one_more_when_they_are_full() -> None:
    scheduler = scheduler_of(7, 4, num_blocks=100, new_tokens=8)
    steps = [scheduler.step() for _ in range(3)]
    assert scheduler.layout == Layout(4, 100, 4)
    assert steps[0].taken == (TakenBlock(0, 0, 0), TakenBlock(0, 1, 4), TakenBlock(1, 0, 1))
    assert steps[1].taken == (TakenBlock(1, 1, 5),)
    assert steps[2].taken == (TakenBlock(0, 2, 8),)


def test_blocks_of_one_index_lie_side_by_side_and_any_is_taken_where_that_one_is_not_free() -> None:
    blocks = Blocks(Layout(2, 5, 64))
    assert [blocks.take(slot, index) for slot, index in [(0, 0), (1, 0), (1, 1), (0, 1)]] == [0, 1, 3, 2]
    assert blocks.take(1, 2) == 4, "its home is beyond the last one"
    assert blocks.num_free == 0
    blocks.give_back([3, 0])
    assert blocks.take(0, 2) == 3
    assert blocks.take(1, 1) == 0


@given(st.integers(1, 4), st.integers(1, 30), st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=80))
def test_every_block_is_taken_once_until_it_is_given_back(
    num_slots: int, num_blocks: int, moves: list[tuple[int, bool]]
) -> None:
    blocks, held = Blocks(Layout(num_slots, num_blocks, 64)), {slot: list[int]() for slot in range(num_slots)}
    for slot, is_end in ((slot % num_slots, is_end) for slot, is_end in moves):
        if is_end:
            blocks.give_back(held.pop(slot))
            held[slot] = []
        elif blocks.num_free:
            held[slot].append(blocks.take(slot, len(held[slot])))
        every = [block for own in held.values() for block in own]
        assert len(set(every)) == len(every) == num_blocks - blocks.num_free
        assert all(0 <= block < num_blocks for block in every)


def test_a_row_comes_in_only_if_all_are_expected_to_find_room_to_their_ends() -> None:
    """Two rows take eleven blocks each at last; a third has four by then if it comes when they have 29 of 41 tokens."""
    scheduler = scheduler_of(4, 4, 4, num_blocks=28, new_tokens=41)
    assert [chunk.row for chunk in scheduler.step().chunks] == [0, 1]
    while not (step := scheduler.step()).chunks:
        assert step.put_back == ()
    assert step == Step((DecodeRow(0, 0, 33), DecodeRow(1, 1, 33)), (PrefillChunk(2, 2, 0, 4, True),))


def test_short_texts_let_more_rows_in() -> None:
    scheduler = scheduler_of(num_blocks=6, new_tokens=9)
    expect_short_texts(scheduler, 9)
    for row in range(4):
        scheduler.add(row, prompt_tokens=4, new_tokens=9)
    assert [chunk.row for chunk in scheduler.step().chunks] == [0, 1, 2]


def test_the_youngest_gives_way_and_begins_again_when_another_has_ended() -> None:
    scheduler = scheduler_of(num_blocks=5, new_tokens=9)
    expect_short_texts(scheduler, 9)
    for row in range(3):
        scheduler.add(row, prompt_tokens=4, new_tokens=9)
    assert [chunk.row for chunk in scheduler.step().chunks] == [0, 1]
    assert [scheduler.step() for _ in range(4)][-1].put_back == ()
    step = scheduler.step()
    assert step == Step((DecodeRow(0, 0, 8),), ())
    assert step.put_back == (1,)
    assert scheduler.step() == Step((DecodeRow(0, 0, 9),), ())
    scheduler.end(0)
    assert scheduler.step().chunks[0] == PrefillChunk(1, 0, 0, 4, True)


@pytest.mark.parametrize("num_slots", [1, 2, 4])
def test_blocks_that_others_would_copy_are_taken_before_a_row_gives_way(num_slots: int) -> None:
    scheduler = Scheduler(Limits(kv_tokens=16, num_slots=num_slots, step_tokens=100, block_tokens=4))
    group = PrefixGroup(1, 8)
    scheduler.add(0, prompt_tokens=9, new_tokens=1, prefix_group=group)
    scheduler.step()
    scheduler.add(1, prompt_tokens=4, new_tokens=12)
    scheduler.add(2, prompt_tokens=9, new_tokens=1, prefix_group=group)
    scheduler.end(0)
    rows = []
    while (step := scheduler.step()) is not None:
        assert step.put_back == ()
        rows += [(chunk.row, chunk.source is None) for chunk in step.chunks]
        for row in [chunk.row for chunk in step.chunks if chunk.row == 2]:
            scheduler.end(row)
        if any(decoded.position == 14 for decoded in step.decode_rows):
            scheduler.end(1)
    assert rows == [(1, True), (2, True)], "what it might have copied is gone"


def num_steps(*, are_grouped: bool) -> int:
    """Of rows whose second questions come when all first ones are through, each of a prompt of its own twice."""
    scheduler = Scheduler(Limits(kv_tokens=1600, num_slots=32, step_tokens=100, block_tokens=4))
    prompts = range(1100)
    for question in range(2):
        for prompt in prompts:
            group = PrefixGroup(prompt, 8) if are_grouped else None
            scheduler.add(2 * prompt + question, prompt_tokens=12, new_tokens=3, prefix_group=group)
    chosen, steps = Counter[int](), 0
    while not scheduler.is_idle:
        step, steps = scheduler.step(), steps + 1
        assert step is not None
        got = [decoded.row for decoded in step.decode_rows] + [chunk.row for chunk in step.chunks if chunk.is_last]
        chosen.update(got)
        for row in got:
            if chosen[row] == 3:
                scheduler.end(row)
    return steps


def test_what_is_kept_for_others_of_a_group_leaves_room_for_rows_that_wait() -> None:
    assert num_steps(are_grouped=True) <= 1.1 * num_steps(are_grouped=False)
