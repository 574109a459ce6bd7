"""Continuous batching over any rows, arrivals, ends and failures: who is computed when, and in which slot."""

from __future__ import annotations

import itertools

from hypothesis import given, settings

from relabel.engine.scheduling.scheduler import IMAGE_REFILL, ROUND_TOKENS, SMALLEST_CHUNK
from relabel.engine.scheduling.step import Layout
from tests.engine.scheduling.play import Case, Play, any_case

often = settings(max_examples=30, deadline=None)


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
def test_a_slot_holds_one_row_and_all_of_it(case: Case) -> None:
    for tick in Play(case).ticks:
        assert all(tick.held.get(piece.row, piece.slot) == piece.slot for piece in (*tick.decode_rows, *tick.chunks))
        slots = tick.held | {chunk.row: chunk.slot for chunk in tick.chunks}
        assert len(set(slots.values())) == len(slots)
        assert all(0 <= slot < tick.layout.num_slots for slot in slots.values())
        assert all(case.rows[row].needs <= tick.layout.slot_tokens for row in slots)


@often
@given(any_case())
def test_the_layout_fits_the_limits_and_changes_only_while_nothing_is_held(case: Case) -> None:
    before = Layout(0, 0)
    for tick in Play(case).ticks:
        num_tokens = tick.layout.num_slots * tick.layout.slot_tokens
        assert num_tokens <= tick.limits.kv_tokens or tick.layout.num_slots == 1, "after failures a row may stand alone"
        assert num_tokens <= case.limits.kv_tokens
        assert tick.layout.num_slots <= tick.limits.num_slots <= case.limits.num_slots
        assert tick.layout == before or not tick.held
        before = tick.layout


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
    for tick in Play(case).ticks:
        waiting = tick.waiting[len(tick.admitted) :]
        if not waiting or len(tick.held) + len(tick.admitted) == tick.layout.num_slots:
            continue
        row, limits, layout = case.rows[waiting[0]], tick.limits, tick.layout
        longest = max(case.rows[number].needs for number in waiting)
        rounded = max(longest, min(-(-longest // ROUND_TOKENS) * ROUND_TOKENS, limits.kv_tokens))
        could_be = min(limits.num_slots, limits.kv_tokens // rounded)
        if row.needs > layout.slot_tokens or could_be >= 2 * layout.num_slots:
            assert tick.held or tick.admitted, "it waits for a new layout"
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
            assert is_filling or (layout.num_slots - len(tick.held)) * IMAGE_REFILL < layout.num_slots


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
