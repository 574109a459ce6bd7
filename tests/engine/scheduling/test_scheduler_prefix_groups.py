"""Whatever prefix groups come: each row once, whole, and what it copies was computed before and is still there."""

from __future__ import annotations

import itertools
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from relabel.engine.scheduling.step import PrefixGroup
from tests.engine.scheduling.play import Case, Play, any_case


@st.composite
def with_families(draw: st.DrawFn) -> Case:
    """Some rows are of prefix groups whose prompts agree up to less than the shortest of them."""
    case = draw(any_case())
    numbers = draw(st.lists(st.integers(0, 4), min_size=len(case.rows), max_size=len(case.rows)))
    shortest: dict[int, int] = {}
    for row, number in zip(case.rows, numbers, strict=True):
        shortest[number] = min(shortest.get(number, row.prompt_tokens), row.prompt_tokens)
    common = {number: draw(st.integers(1, max(1, length - 1))) for number, length in shortest.items()}
    rows = [
        replace(row, prefix_group=PrefixGroup(number, common[number]), shared=min(row.shared, common[number] - 1))
        if number and shortest[number] > 1
        else row
        for row, number in zip(case.rows, numbers, strict=True)
    ]
    return replace(case, rows=rows)


@settings(max_examples=400, deadline=None)
@given(with_families())
def test_every_row_is_done_once_and_is_computed_from_where_its_copy_ends(case: Case) -> None:
    play = Play(case)
    assert sorted([*play.done, *play.lost]) == list(range(len(case.rows)))
    for number, row in ((number, case.rows[number]) for number in play.done):
        pieces = play.pieces[number]
        assert pieces[0][0] in {row.shared, row.prefix_group.num_tokens if row.prefix_group else row.shared}
        assert all(piece[1] == after[0] for piece, after in itertools.pairwise(pieces))
        assert pieces[-1][1] == row.prompt_tokens + row.num_chosen - 1 or case.is_late


@settings(max_examples=400, deadline=None)
@given(with_families())
def test_what_is_copied_was_computed_in_an_earlier_step_and_is_still_there(case: Case) -> None:
    play = Play(case)
    filled: dict[int, tuple[PrefixGroup | None, int]] = {}
    """By block: whose it is, and up to which token of the row it was computed before this step."""
    layout = None
    for at, tick in enumerate(play.ticks):
        if tick.layout != layout:
            layout, filled = tick.layout, {}
        for block in (taken.block for taken in (tick.step.taken if tick.step else ())):
            filled.pop(block, None)
        size, now = tick.layout.block_tokens, dict(filled)
        for chunk in tick.chunks:
            own = case.rows[chunk.row].prefix_group
            if chunk.source is not None:
                assert chunk.is_first
                assert own.num_tokens == chunk.start
                for index, block in enumerate(chunk.source[: -(-chunk.start // size)]):
                    prefix_group, end = filled[block]
                    assert prefix_group == own
                    assert end >= min(chunk.start, (index + 1) * size)
                    now[tick.blocks[chunk.slot][index]] = own, min(chunk.start, (index + 1) * size)
            for index in range(chunk.start // size, -(-chunk.end // size)):
                now[tick.blocks[chunk.slot][index]] = own, min(chunk.end, (index + 1) * size)
            if case.rows[chunk.row].shared and chunk.is_first and chunk.source is None:
                for index in range(-(-chunk.start // size)):
                    now[tick.blocks[chunk.slot][index]] = own, min(chunk.end, (index + 1) * size)
        for row, slot, position, _ in tick.decode_rows:
            own = case.rows[row].prefix_group
            now[tick.blocks[slot][position // size]] = own, position + 1
        filled = {} if at in play.failed_at else now


@settings(max_examples=200, deadline=None)
@given(with_families())
def test_no_two_of_a_family_compute_what_they_have_in_common_in_one_step(case: Case) -> None:
    for tick in Play(case).ticks:
        begun = [
            case.rows[chunk.row].prefix_group
            for chunk in tick.chunks
            if chunk.is_first and chunk.source is None and case.rows[chunk.row].prefix_group
        ]
        assert len(begun) == len(set(begun))
