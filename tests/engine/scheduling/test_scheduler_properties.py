"""Continuous batching over any rows, arrivals, ends and failures: who is computed when, and in which slot."""

from __future__ import annotations

import itertools

from hypothesis import given, settings, target

from relabel.engine.scheduling.scheduler import IMAGE_REFILL, SMALLEST_CHUNK
from tests.engine.scheduling.play import Case, Play, Tick, any_case

often = settings(max_examples=30, deadline=None)
tight = settings(max_examples=300, deadline=None)


@often
@given(any_case())
def test_every_row_is_computed_once_from_its_shared_prefix_to_its_end(case: Case) -> None:
    play = Play(case)
    assert sorted(play.done + play.lost) == list(range(len(case.rows)))
    for number in play.done:
        row, pieces = case.rows[number], play.pieces[number]
        assert pieces[0][0] == row.shared
        assert all(before[1] == after[0] for before, after in itertools.pairwise(pieces)), "no gap, nothing twice"
        # the last token of a row is chosen but never computed, unless its end was told too late
        end = row.prompt_tokens + row.num_chosen - 1
        is_told_late = case.is_late and row.num_chosen < row.new_tokens
        assert pieces[-1][1] in ({end, end + 1} if is_told_late else {end})


@often
@given(any_case())
def test_a_row_gets_its_first_token_with_the_last_of_its_prompt_and_is_decoded_from_there(case: Case) -> None:
    for tick in Play(case).ticks:
        for chunk in tick.chunks:
            row = case.rows[chunk.row]
            assert chunk.start == tick.at.get(chunk.row, row.shared) < chunk.end <= row.prompt_tokens
            assert chunk.is_last == (chunk.end == row.prompt_tokens)
        for decoded in tick.decode_rows:
            assert decoded.position == tick.at[decoded.row] >= case.rows[decoded.row].prompt_tokens


@often
@given(any_case())
def test_a_row_has_a_slot_and_blocks_for_all_of_it_that_no_other_has(case: Case) -> None:
    for tick in Play(case).ticks:
        pieces = [*tick.decode_rows, *tick.chunks]
        assert all(tick.held.get(piece.row, piece.slot) == piece.slot for piece in pieces)
        slots = tick.held | {chunk.row: chunk.slot for chunk in tick.chunks}
        assert len(set(slots.values())) == len(slots)
        assert all(0 <= slot < tick.layout.num_slots for slot in slots.values())
        ends = tick.at | {chunk.row: chunk.end for chunk in tick.chunks}
        ends |= {decoded.row: decoded.position + 1 + decoded.num_drafted for decoded in tick.decode_rows}
        own = {row: tick.blocks[slot][: _num_blocks(tick, ends[row])] for row, slot in slots.items()}
        assert all(len(blocks) == _num_blocks(tick, ends[row]) for row, blocks in own.items())
        every = [block for blocks in own.values() for block in blocks]
        assert len(set(every)) == len(every)
        assert all(0 <= block < tick.layout.num_blocks for block in every)


def _num_blocks(tick: Tick, num_tokens: int) -> int:
    return -(-num_tokens // tick.layout.block_tokens)


@often
@given(any_case())
def test_the_layout_fits_the_limits_and_changes_only_while_nothing_is_held(case: Case) -> None:
    before, longest = None, max(row.needs for row in case.rows)
    for tick in Play(case).ticks:
        # after failures a row may need more than the rest of the limits
        assert tick.layout.num_blocks <= max(tick.limits.num_blocks, _num_blocks(tick, longest))
        assert tick.layout.num_blocks <= case.limits.num_blocks
        assert tick.layout.num_slots <= tick.limits.num_slots <= case.limits.num_slots
        assert tick.layout == before or not tick.held
        before = tick.layout


@tight
@given(any_case(is_tight=True))
def test_the_oldest_row_is_never_put_back_and_all_come_to_their_end(case: Case) -> None:
    """That it comes to its end in as many steps as if one row came after the other is asserted by the play."""
    play = Play(case)
    assert sorted(play.done + play.lost) == list(range(len(case.rows)))
    target(float(sum(len(tick.put_back) for tick in play.ticks)))
    ages: list[int] = []
    for tick in play.ticks:
        held = [row for row in ages if row in tick.held or row in tick.put_back]
        assert list(tick.put_back) == held[len(held) - len(tick.put_back) :][::-1], "the youngest first"
        assert not tick.put_back or len(tick.put_back) < len(held)
        assert not (tick.put_back and tick.admitted)
        ages = [row for row in held if row not in tick.put_back] + tick.admitted


@often
@given(any_case())
def test_a_step_keeps_to_its_tokens_but_for_a_single_row_with_images(case: Case) -> None:
    for tick in Play(case).ticks:
        if tick.step is not None and tick.step.num_tokens > tick.limits.step_tokens:
            assert not tick.decode_rows
            assert [case.rows[chunk.row].is_whole for chunk in tick.chunks] == [True]
        assert tick.step is None or tick.step.num_tokens > 0


@often
@given(any_case())
def test_rows_with_images_come_whole_and_among_themselves(case: Case) -> None:
    for tick in Play(case).ticks:
        if any(case.rows[chunk.row].is_whole for chunk in tick.chunks):
            assert not tick.decode_rows
            assert all(case.rows[chunk.row].is_whole and chunk.is_last for chunk in tick.chunks)
            assert len(tick.admitted) == len(tick.chunks)
            assert all(at >= case.rows[row].prompt_tokens for row, at in tick.at.items()), "no prompt is half done"


@often
@given(any_case())
def test_whatever_can_be_decoded_is_decoded_in_every_step_of_text(case: Case) -> None:
    for tick in Play(case).ticks:
        ready = [row for row, at in tick.at.items() if case.rows[row].prompt_tokens <= at < case.rows[row].needs - 1]
        if not any(case.rows[chunk.row].is_whole for chunk in tick.chunks):
            assert sorted(decoded.row for decoded in tick.decode_rows) == sorted(ready)
        assert tick.step or tick.held or not tick.waiting, "only rows that wait for their end leave nothing to do"


@often
@given(any_case())
def test_a_draft_never_goes_beyond_its_row_and_leaves_prompts_half_of_the_room(case: Case) -> None:
    for tick in Play(case).ticks:
        for decoded in tick.decode_rows:
            assert decoded.position + decoded.num_drafted < case.rows[decoded.row].needs - 1
        num_drafted = sum(decoded.num_drafted for decoded in tick.decode_rows)
        assert 2 * num_drafted <= max(0, tick.limits.step_tokens - len(tick.decode_rows))


@often
@given(any_case())
def test_rows_come_in_longest_first_and_none_before_all_of_an_earlier_window(case: Case) -> None:
    for tick in Play(case).ticks:
        assert tick.admitted == tick.waiting[: len(tick.admitted)]


@often
@given(any_case())
def test_a_free_slot_is_filled_in_the_next_step_unless_there_is_a_reason(case: Case) -> None:
    is_short, before = False, set[int]()
    for tick in Play(case).ticks:
        is_short = bool(tick.put_back) or (is_short and tick.held.keys() >= before)
        before = tick.held.keys() | set(tick.admitted)
        waiting = tick.waiting[len(tick.admitted) :]
        if not waiting or len(tick.held) + len(tick.admitted) == tick.layout.num_slots:
            continue
        row, limits, layout = case.rows[waiting[0]], tick.limits, tick.layout
        held = [case.rows[number] for number in (*tick.held, *tick.admitted)]
        if tick.put_back or is_short or limits.num_slots >= 2 * layout.num_slots:
            continue  # until a row has ended, or all have
        if sum(_num_blocks(tick, one.needs - 1) for one in (*held, row)) > layout.num_blocks:
            assert held, "it waits for blocks"
            continue
        assert tick.step is not None
        room, length = limits.step_tokens - tick.step.num_tokens, row.prompt_tokens - row.shared
        kinds = {case.rows[chunk.row].is_whole for chunk in tick.chunks}
        if kinds == {not row.is_whole}:
            continue  # it waits for a step of its own kind
        if not row.is_whole:
            assert room == 0 or length > room < SMALLEST_CHUNK
        elif kinds == {True}:
            assert length > room
        else:
            is_filling = any(at < case.rows[held].prompt_tokens for held, at in tick.at.items())
            num_free, needed = layout.num_slots - len(tick.held), sum(_num_blocks(tick, one.needs - 1) for one in held)
            is_full = num_free * IMAGE_REFILL < layout.num_slots or needed > layout.num_blocks * (1 - 1 / IMAGE_REFILL)
            assert is_filling or is_full


@often
@given(any_case())
def test_only_a_row_that_fails_alone_is_lost(case: Case) -> None:
    play = Play(case)
    alone = [rows[0] for rows, before, _ in play.failed if len(rows) == before.num_slots == 1]
    assert play.lost == alone, "in one slot and in small pieces"
    assert all(after.num_slots <= max(1, len(rows) // 2) for rows, before, after in play.failed if before.num_slots > 1)


@often
@given(any_case(with_failures=False, with_poison=True))
def test_a_row_at_fault_is_lost_and_all_others_are_done(case: Case) -> None:
    play = Play(case)
    assert sorted(play.lost) == [number for number, row in enumerate(case.rows) if row.is_poison]
    assert sorted(play.done) == [number for number, row in enumerate(case.rows) if not row.is_poison]
    assert len(play.failed) <= 10 * len(play.lost)
