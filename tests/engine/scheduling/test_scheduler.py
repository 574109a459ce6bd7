"""Continuous batching by example: what the next step computes, and for whom."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relabel.engine.scheduling.scheduler import LOOK_AHEAD, SMALLEST_CHUNK, Scheduler
from relabel.engine.scheduling.step import DecodeRow, Layout, Limits, PrefillChunk, Step
from tests.engine.scheduling.play import Case, Play, Row

LIMITS = Limits(kv_tokens=1600, num_slots=4, step_tokens=40)


def scheduler_of(*prompts: int, limits: Limits = LIMITS, new_tokens: int = 8, is_whole: bool = False) -> Scheduler:
    """Rows 0, 1, ... with prompts of these lengths."""
    scheduler = Scheduler(limits)
    for row, prompt_tokens in enumerate(prompts):
        scheduler.add(row, prompt_tokens=prompt_tokens, new_tokens=new_tokens, is_whole=is_whole)
    return scheduler


def test_a_step_decodes_what_is_there_and_computes_the_prompts_that_come() -> None:
    scheduler = scheduler_of(10, 12)
    assert scheduler.step() == Step((), (PrefillChunk(1, 0, 0, 12, True), PrefillChunk(0, 1, 0, 10, True)))
    scheduler.add(2, prompt_tokens=5, new_tokens=8)
    assert scheduler.step() == Step((DecodeRow(1, 0, 12), DecodeRow(0, 1, 10)), (PrefillChunk(2, 2, 0, 5, True),))
    assert scheduler.step() == Step((DecodeRow(1, 0, 13), DecodeRow(0, 1, 11), DecodeRow(2, 2, 5)), ())


def test_it_is_idle_when_every_row_has_ended_and_its_limits_are_whole_while_all_goes_well() -> None:
    scheduler = scheduler_of(10, 12)
    assert not scheduler.is_idle
    scheduler.step()
    assert (scheduler.num_held, scheduler.limits) == (2, scheduler.full_limits)
    for row in (0, 1):
        scheduler.end(row)
    assert scheduler.is_idle
    assert scheduler.num_held == 0


def test_a_row_that_ends_gives_its_slot_to_the_next_one() -> None:
    scheduler = scheduler_of(9, 8, 7, 6, 5)
    scheduler.step()
    scheduler.end(2)
    assert scheduler.step() == Step(
        (DecodeRow(0, 0, 9), DecodeRow(1, 1, 8), DecodeRow(3, 3, 6)), (PrefillChunk(4, 2, 0, 5, True),)
    )


def test_the_lowest_free_slots_are_taken_first_so_that_those_in_use_lie_together() -> None:
    scheduler = scheduler_of(9, 8, 7, 6)
    scheduler.step()
    for row in (3, 1, 2):
        scheduler.end(row)
    scheduler.add(4, prompt_tokens=5, new_tokens=8)
    assert scheduler.step() == Step((DecodeRow(0, 0, 9),), (PrefillChunk(4, 1, 0, 5, True),))


def test_a_prompt_longer_than_a_step_is_computed_in_pieces_beside_what_is_decoded() -> None:
    scheduler = scheduler_of(10, new_tokens=100)
    scheduler.step()
    scheduler.add(1, prompt_tokens=90, new_tokens=8)
    assert scheduler.step() == Step((DecodeRow(0, 0, 10),), (PrefillChunk(1, 1, 0, 39, False),))
    assert scheduler.step() == Step((DecodeRow(0, 0, 11),), (PrefillChunk(1, 1, 39, 78, False, False),))
    assert scheduler.step() == Step((DecodeRow(0, 0, 12),), (PrefillChunk(1, 1, 78, 90, True, False),))
    assert scheduler.step() == Step((DecodeRow(0, 0, 13), DecodeRow(1, 1, 90)), ())


def test_a_long_prompt_is_not_begun_with_the_few_tokens_that_are_left_of_a_step() -> None:
    def second_step(first_prompt: int) -> list[tuple[int, int]]:
        scheduler = scheduler_of(first_prompt, 36)
        assert scheduler.step().num_tokens == 40
        return [(chunk.start, chunk.end) for chunk in scheduler.step().chunks]

    assert second_step(80 - SMALLEST_CHUNK) == [(40, 64), (0, 16)]
    assert second_step(81 - SMALLEST_CHUNK) == [(40, 65)]


def test_a_prompt_that_fits_is_computed_even_with_the_few_tokens_that_are_left() -> None:
    def beside_nine(prompt_tokens: int) -> tuple[PrefillChunk, ...]:
        limits = Limits(kv_tokens=1600, num_slots=10, step_tokens=9 + SMALLEST_CHUNK - 1)
        scheduler = scheduler_of(*[2] * 9, limits=limits)
        scheduler.step()
        scheduler.add(9, prompt_tokens=prompt_tokens, new_tokens=8)
        return scheduler.step().chunks

    assert beside_nine(SMALLEST_CHUNK - 1) == (PrefillChunk(9, 9, 0, SMALLEST_CHUNK - 1, True),)
    assert beside_nine(SMALLEST_CHUNK) == ()


def test_a_shared_prefix_is_not_computed_and_a_single_token_needs_no_decoding() -> None:
    scheduler = Scheduler(LIMITS)
    scheduler.add(0, prompt_tokens=30, new_tokens=1, shared=20)
    assert scheduler.step() == Step((), (PrefillChunk(0, 0, 20, 30, True),))
    assert scheduler.step() is None
    scheduler.end(0)
    assert scheduler.is_idle


def test_rows_with_images_wait_until_one_slot_in_eight_is_free() -> None:
    scheduler = scheduler_of(*[2] * 16, limits=Limits(kv_tokens=4000, num_slots=16, step_tokens=40))
    scheduler.step()
    for row in (16, 17, 18):
        scheduler.add(row, prompt_tokens=10, new_tokens=8, is_whole=True)
    scheduler.end(3)
    step = scheduler.step()
    assert (len(step.decode_rows), step.chunks) == (15, ())
    scheduler.end(5)
    assert scheduler.step() == Step((), (PrefillChunk(16, 3, 0, 10, True), PrefillChunk(17, 5, 0, 10, True)))
    assert len(scheduler.step().decode_rows) == 16


def test_a_row_with_images_is_whole_even_where_it_exceeds_a_step() -> None:
    scheduler = scheduler_of(90, 30, 10, 7, is_whole=True)
    steps = [[(chunk.row, chunk.end) for chunk in scheduler.step().chunks] for _ in range(2)]
    assert steps == [[(0, 90)], [(1, 30), (2, 10)]]


def test_a_long_row_that_comes_late_waits_for_the_rows_of_one_look_ahead_and_no_more() -> None:
    limits = Limits(kv_tokens=64_000, num_slots=64, step_tokens=1000)
    rows = [Row(prompt_tokens=2, new_tokens=1, num_chosen=1) for _ in range(2 * LOOK_AHEAD)]
    rows.insert(LOOK_AHEAD, Row(prompt_tokens=9, new_tokens=1, num_chosen=1))
    assert Play(Case(limits, rows)).done[LOOK_AHEAD] == LOOK_AHEAD


def test_after_a_failure_half_as_many_rows_begin_again() -> None:
    scheduler = scheduler_of(9, 8, 7, 6)
    scheduler.step()
    scheduler.step()
    assert scheduler.shrink() == ([0, 1, 2, 3], None)
    assert scheduler.limits == Limits(kv_tokens=800, num_slots=2, step_tokens=20)
    assert scheduler.step() == Step((), (PrefillChunk(0, 0, 0, 9, True), PrefillChunk(1, 1, 0, 8, True)))


def test_after_a_failure_there_are_blocks_enough_for_the_longest_row_that_waits() -> None:
    scheduler = scheduler_of(9, 8, limits=Limits(kv_tokens=200, num_slots=4, step_tokens=40))
    scheduler.step()
    for _ in range(2):
        scheduler.shrink()
    scheduler.add(2, prompt_tokens=150, new_tokens=8)
    scheduler.step()
    assert (scheduler.limits.num_blocks, scheduler.layout.num_blocks) == (1, 1)
    scheduler.end(0)
    while scheduler.layout.num_blocks == 1:
        scheduler.end(scheduler.step().chunks[0].row)
    assert scheduler.layout == Layout(1, 3, 64)


def test_a_row_that_fails_alone_is_lost_and_costs_the_others_nothing() -> None:
    scheduler = scheduler_of(9, 8, 7, 6)
    scheduler.step()
    scheduler.shrink()
    scheduler.step()
    assert scheduler.shrink() == ([0, 1], None)
    scheduler.step()
    assert scheduler.shrink() == ([], 0)
    assert scheduler.limits == LIMITS
    assert [chunk.row for chunk in scheduler.step().chunks] == [1, 2, 3]


def test_a_row_longer_than_the_memory_of_shrunk_limits_is_tried_alone() -> None:
    scheduler = scheduler_of(1500, 10, limits=Limits(kv_tokens=3200, num_slots=2, step_tokens=4000))
    scheduler.step()
    scheduler.shrink()
    scheduler.step()
    scheduler.end(0)
    assert scheduler.step() == Step((), (PrefillChunk(1, 0, 0, 10, True),))


def test_after_many_rows_without_a_failure_all_slots_are_back_though_rows_never_cease() -> None:
    rows = [Row(prompt_tokens=55, new_tokens=9, num_chosen=1 + row % 9) for row in range(500)]
    play = Play(Case(Limits(kv_tokens=10_000, num_slots=16, step_tokens=1000), rows, failures={1, 2, 3, 4}))
    assert play.scheduler.limits.num_slots == 16
    assert play.ticks[5].layout.num_slots == 1
    assert play.ticks[-1].layout.num_slots == 16


@pytest.mark.parametrize("row", [(0, 1, 0), (5, 0, 0), (5, 1, 5), (5, 1, -1), (1500, 101, 0)])
def test_a_row_without_anything_to_compute_or_too_large_for_the_memory_is_refused(row: tuple[int, int, int]) -> None:
    prompt_tokens, new_tokens, shared = row
    with pytest.raises(ValueError, match="row 7"):
        Scheduler(LIMITS).add(7, prompt_tokens=prompt_tokens, new_tokens=new_tokens, shared=shared)


@pytest.mark.parametrize("limits", [(100, 0, 10), (100, 10, 10), (0, 4, 10)])
def test_limits_hold_a_token_of_every_slot_and_one_of_a_prompt(limits: tuple[int, int, int]) -> None:
    kv_tokens, num_slots, step_tokens = limits
    with pytest.raises(ValueError, match="a step must hold"):
        Limits(kv_tokens=kv_tokens, num_slots=num_slots, step_tokens=step_tokens)


@given(st.integers(1, 10**6), st.integers(1, 1000), st.integers(1, 1000), st.data())
def test_scaled_limits_are_limits_again(kv_tokens: int, num_slots: int, more: int, data: st.DataObject) -> None:
    limits = Limits(kv_tokens=kv_tokens, num_slots=num_slots, step_tokens=num_slots + more)
    assert limits.scaled(num_slots) == limits
    smaller = limits.scaled(data.draw(st.integers(1, num_slots)))
    assert 1 <= smaller.kv_tokens <= kv_tokens
    assert smaller.num_slots < smaller.step_tokens <= limits.step_tokens
