"""Continuous batching over any rows, arrivals, ends and failures: who is computed when, and in which slot."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relabel.engine.scheduler import IMAGE_REFILL, LOOK_AHEAD, ROUND_TOKENS, SMALLEST_CHUNK, Scheduler
from relabel.engine.step import Chunk, Layout, Limits, Live, Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    prompt_tokens: int
    new_tokens: int
    num_chosen: int
    """Tokens after which it ends by itself, at most new_tokens."""
    shared: int = 0
    is_whole: bool = False
    arrives: int = 0
    """Before which step."""
    is_poison: bool = False
    """Every step that computes it fails."""

    @property
    def needs(self) -> int:
        return self.prompt_tokens + self.new_tokens


@dataclass(frozen=True, slots=True)
class Case:
    limits: Limits
    rows: list[Row]
    is_late: bool = False
    """The end of a row is told when the next step has been taken already."""
    failures: set[int] = field(default_factory=set)
    """Steps that do not fit into memory."""


@dataclass(frozen=True, slots=True)
class Tick:
    """One step, and how things stood when it was asked for."""

    step: Step | None
    layout: Layout
    limits: Limits
    held: dict[int, int]
    """Rows and their slots."""
    at: dict[int, int]
    """How far each held row was computed."""
    waiting: list[int]
    """Rows of the look-ahead window, in the order in which they should come in."""

    @property
    def chunks(self) -> tuple[Chunk, ...]:
        return self.step.chunks if self.step else ()

    @property
    def live(self) -> tuple[Live, ...]:
        return self.step.live if self.step else ()

    @property
    def admitted(self) -> list[int]:
        return [chunk.row for chunk in self.chunks if chunk.row not in self.held]


class Play:
    """An engine that computes nothing, and remembers what it was asked to compute."""

    def __init__(self, case: Case) -> None:
        self.case, self.scheduler = case, Scheduler(case.limits)
        self.ticks: list[Tick] = []
        self.pieces: dict[int, list[tuple[int, int]]] = {}
        """What was computed of each row since it last began."""
        self.done: list[int] = []
        self.lost: list[int] = []
        self.failed: list[tuple[list[int], Limits, Limits]] = []
        """The rows in flight at each failure, and the limits before and after it."""
        self._num_chosen: dict[int, int] = {}
        self._held: dict[int, int] = {}
        self._arrived: list[int] = []
        self._waiting: list[int] = []
        ended: list[int] = []
        to_come = sorted(range(len(case.rows)), key=lambda row: case.rows[row].arrives)
        while to_come or not self.scheduler.is_idle:
            while to_come and case.rows[to_come[0]].arrives <= len(self.ticks):
                self._arrive(to_come.pop(0))
            just_ended = self._advance()
            for row in ended if case.is_late else just_ended:
                if row in self._held:
                    self.scheduler.end(row)
                    del self._held[row]
                    self.done.append(row)
            ended = just_ended
            most = 2 * (1 + len(self.failed)) * sum(row.needs for row in case.rows) + 100
            assert len(self.ticks) <= most, "it comes to an end"

    def _arrive(self, number: int) -> None:
        row = self.case.rows[number]
        self.scheduler.add(
            number,
            prompt_tokens=row.prompt_tokens,
            new_tokens=row.new_tokens,
            shared=row.shared,
            is_whole=row.is_whole,
        )
        self._arrived.append(number)

    def _advance(self) -> list[int]:
        """The rows that end with the next step."""
        rows = self.case.rows
        if not self._waiting:
            self._waiting, self._arrived = self._arrived[:LOOK_AHEAD], self._arrived[LOOK_AHEAD:]
            self._waiting.sort(key=lambda row: -rows[row].needs)
        held, waiting, step = dict(self._held), list(self._waiting), self.scheduler.step()
        at = {row: self.pieces[row][-1][1] for row in held}
        tick = Tick(step, self.scheduler.layout, self.scheduler.limits, held, at, waiting)
        self.ticks.append(tick)
        self._waiting = [row for row in waiting if row not in tick.admitted]
        self._held |= {chunk.row: chunk.slot for chunk in tick.chunks}
        computed = [*tick.live, *tick.chunks]
        if computed and (len(self.ticks) in self.case.failures or any(rows[piece.row].is_poison for piece in computed)):
            self._fail()
            return []
        for row in tick.admitted:
            self.pieces[row], self._num_chosen[row] = [], 0
        for chunk in tick.chunks:
            self.pieces[chunk.row].append((chunk.start, chunk.end))
        for live in tick.live:
            self.pieces[live.row].append((live.position, live.position + 1))
        chosen = [live.row for live in tick.live] + [chunk.row for chunk in tick.chunks if chunk.is_last]
        for row in chosen:
            self._num_chosen[row] += 1
        return [row for row in chosen if self._num_chosen[row] == rows[row].num_chosen]

    def _fail(self) -> None:
        in_flight = list(self._held)
        before = self.scheduler.limits
        again, lost = self.scheduler.shrink()
        self.failed.append((in_flight, before, self.scheduler.limits))
        self._held.clear()
        self._waiting = [*again, *self._waiting]
        if lost is not None:
            self.lost.append(lost)
        assert sorted([*again, *([] if lost is None else [lost])]) == sorted(in_flight)


@st.composite
def any_row(draw: st.DrawFn, *, with_images: bool, with_poison: bool) -> Row:
    prompt_tokens = draw(st.integers(1, 12) | st.integers(1, 120))
    new_tokens = draw(st.integers(1, 20))
    return Row(
        prompt_tokens=prompt_tokens,
        new_tokens=new_tokens,
        num_chosen=draw(st.integers(1, new_tokens)),
        shared=draw(st.just(0) | st.integers(0, prompt_tokens - 1)),
        is_whole=with_images and draw(st.booleans()),
        arrives=draw(st.just(0) | st.integers(0, 30)),
        is_poison=with_poison and draw(st.integers(0, 9)) == 0,
    )


@st.composite
def any_case(
    draw: st.DrawFn, *, with_images: bool = True, with_failures: bool = True, with_poison: bool = False
) -> Case:
    num_slots = draw(st.integers(1, 20))
    limits = Limits(
        kv_tokens=draw(st.integers(140, 250) | st.integers(140, 3000)),
        num_slots=num_slots,
        step_tokens=num_slots + draw(st.integers(1, 60)),
    )
    row = any_row(with_images=with_images and draw(st.booleans()), with_poison=with_poison)
    num_rows = draw(st.integers(1, 30))
    rows = draw(st.lists(row, min_size=num_rows, max_size=num_rows))
    fails = with_failures and draw(st.booleans())
    failures = draw(st.sets(st.integers(1, 40), min_size=1, max_size=6)) if fails else set()
    return Case(limits, rows, draw(st.booleans()), failures)


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
        for live in tick.live:
            assert live.position == tick.at[live.row] >= case.rows[live.row].prompt_tokens


@often
@given(any_case())
def test_a_slot_holds_one_row_and_all_of_it(case: Case) -> None:
    for tick in Play(case).ticks:
        assert all(tick.held.get(piece.row, piece.slot) == piece.slot for piece in (*tick.live, *tick.chunks))
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
            assert not tick.live
            assert [case.rows[chunk.row].is_whole for chunk in tick.chunks] == [True]
        assert tick.step is None or tick.step.num_tokens > 0


@often
@given(any_case())
def test_rows_with_images_come_whole_and_among_themselves(case: Case) -> None:
    for tick in Play(case).ticks:
        if any(case.rows[chunk.row].is_whole for chunk in tick.chunks):
            assert not tick.live
            assert all(case.rows[chunk.row].is_whole and chunk.is_last for chunk in tick.chunks)
            assert len(tick.admitted) == len(tick.chunks)
            assert all(at >= case.rows[row].prompt_tokens for row, at in tick.at.items()), "no prompt is half done"


@often
@given(any_case())
def test_whatever_can_be_decoded_is_decoded_in_every_step_of_text(case: Case) -> None:
    for tick in Play(case).ticks:
        ready = [row for row, at in tick.at.items() if case.rows[row].prompt_tokens <= at < case.rows[row].needs - 1]
        if not any(case.rows[chunk.row].is_whole for chunk in tick.chunks):
            assert sorted(live.row for live in tick.live) == sorted(ready)
        assert tick.step or tick.held or not tick.waiting, "only rows that wait for their end leave nothing to do"


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


LIMITS = Limits(kv_tokens=1600, num_slots=4, step_tokens=40)


def scheduler_of(*prompts: int, limits: Limits = LIMITS, new_tokens: int = 8, is_whole: bool = False) -> Scheduler:
    """Rows 0, 1, ... with prompts of these lengths."""
    scheduler = Scheduler(limits)
    for row, prompt_tokens in enumerate(prompts):
        scheduler.add(row, prompt_tokens=prompt_tokens, new_tokens=new_tokens, is_whole=is_whole)
    return scheduler


def test_a_step_decodes_what_is_there_and_computes_the_prompts_that_come() -> None:
    scheduler = scheduler_of(10, 12)
    assert scheduler.step() == Step((), (Chunk(1, 0, 0, 12, True), Chunk(0, 1, 0, 10, True)))
    scheduler.add(2, prompt_tokens=5, new_tokens=8)
    assert scheduler.step() == Step((Live(1, 0, 12), Live(0, 1, 10)), (Chunk(2, 2, 0, 5, True),))
    assert scheduler.step() == Step((Live(1, 0, 13), Live(0, 1, 11), Live(2, 2, 5)), ())


def test_a_row_that_ends_gives_its_slot_to_the_next_one() -> None:
    scheduler = scheduler_of(9, 8, 7, 6, 5)
    scheduler.step()
    scheduler.end(2)
    assert scheduler.step() == Step((Live(0, 0, 9), Live(1, 1, 8), Live(3, 3, 6)), (Chunk(4, 2, 0, 5, True),))


def test_the_lowest_free_slots_are_taken_first_so_that_those_in_use_lie_together() -> None:
    scheduler = scheduler_of(9, 8, 7, 6)
    scheduler.step()
    for row in (3, 1, 2):
        scheduler.end(row)
    scheduler.add(4, prompt_tokens=5, new_tokens=8)
    assert scheduler.step() == Step((Live(0, 0, 9),), (Chunk(4, 1, 0, 5, True),))


def test_a_prompt_longer_than_a_step_is_computed_in_pieces_beside_what_is_decoded() -> None:
    scheduler = scheduler_of(10, new_tokens=100)
    scheduler.step()
    scheduler.add(1, prompt_tokens=90, new_tokens=8)
    assert scheduler.step() == Step((Live(0, 0, 10),), (Chunk(1, 1, 0, 39, False),))
    assert scheduler.step() == Step((Live(0, 0, 11),), (Chunk(1, 1, 39, 78, False),))
    assert scheduler.step() == Step((Live(0, 0, 12),), (Chunk(1, 1, 78, 90, True),))
    assert scheduler.step() == Step((Live(0, 0, 13), Live(1, 1, 90)), ())


def test_a_long_prompt_is_not_begun_with_the_few_tokens_that_are_left_of_a_step() -> None:
    def second_step(first_prompt: int) -> list[tuple[int, int]]:
        scheduler = scheduler_of(first_prompt, 36)
        assert scheduler.step().num_tokens == 40
        return [(chunk.start, chunk.end) for chunk in scheduler.step().chunks]

    assert second_step(80 - SMALLEST_CHUNK) == [(40, 64), (0, 16)]
    assert second_step(81 - SMALLEST_CHUNK) == [(40, 65)]


def test_a_prompt_that_fits_is_computed_even_with_the_few_tokens_that_are_left() -> None:
    def beside_nine(prompt_tokens: int) -> tuple[Chunk, ...]:
        limits = Limits(kv_tokens=1600, num_slots=10, step_tokens=9 + SMALLEST_CHUNK - 1)
        scheduler = scheduler_of(*[2] * 9, limits=limits)
        scheduler.step()
        scheduler.add(9, prompt_tokens=prompt_tokens, new_tokens=8)
        return scheduler.step().chunks

    assert beside_nine(SMALLEST_CHUNK - 1) == (Chunk(9, 9, 0, SMALLEST_CHUNK - 1, True),)
    assert beside_nine(SMALLEST_CHUNK) == ()


def test_a_shared_prefix_is_not_computed_and_a_single_token_needs_no_decoding() -> None:
    scheduler = Scheduler(LIMITS)
    scheduler.add(0, prompt_tokens=30, new_tokens=1, shared=20)
    assert scheduler.step() == Step((), (Chunk(0, 0, 20, 30, True),))
    assert scheduler.step() is None
    scheduler.end(0)
    assert scheduler.is_idle


def test_a_longer_row_waits_until_the_slots_can_be_made_longer() -> None:
    scheduler = scheduler_of(20, 20)
    scheduler.step()
    assert scheduler.layout == Layout(4, ROUND_TOKENS)
    scheduler.add(2, prompt_tokens=100, new_tokens=8)
    scheduler.add(3, prompt_tokens=20, new_tokens=8)
    assert scheduler.step().chunks == (), "the short row was not there before the long one"
    scheduler.end(0)
    assert scheduler.step().chunks == ()
    scheduler.end(1)
    assert scheduler.step() == Step((), (Chunk(2, 0, 0, 40, False),))
    assert scheduler.layout == Layout(4, 3 * ROUND_TOKENS), "a quarter longer than needed, for rows to come"


def test_slots_are_made_longer_than_needed_only_as_far_as_the_memory_goes() -> None:
    scheduler = scheduler_of(82, limits=Limits(kv_tokens=100, num_slots=4, step_tokens=100))
    scheduler.step()
    assert scheduler.layout == Layout(1, 100)


def test_slots_that_are_too_long_stay_unless_there_could_be_twice_as_many() -> None:
    def slots_after_a_row_of_312(needs: int, num_slots: int) -> Layout:
        scheduler = scheduler_of(304, limits=Limits(kv_tokens=num_slots * 320, num_slots=4, step_tokens=400))
        scheduler.step()
        assert scheduler.layout == Layout(num_slots, 320)
        scheduler.end(0)
        scheduler.add(1, prompt_tokens=needs - 8, new_tokens=8)
        scheduler.step()
        return scheduler.layout

    assert slots_after_a_row_of_312(needs=58, num_slots=4) == Layout(4, 320)
    assert slots_after_a_row_of_312(needs=58, num_slots=3) == Layout(3, 320)
    assert slots_after_a_row_of_312(needs=58, num_slots=2) == Layout(4, 64)
    assert slots_after_a_row_of_312(needs=160, num_slots=2) == Layout(2, 320), "three are not twice as many"


def test_slots_made_for_a_long_row_are_made_anew_once_it_is_through_though_rows_never_cease() -> None:
    rows = [Row(prompt_tokens=50, new_tokens=14, num_chosen=1 + row % 14) for row in range(500)]
    rows.append(Row(prompt_tokens=800, new_tokens=14, num_chosen=9))
    play = Play(Case(Limits(kv_tokens=1024, num_slots=16, step_tokens=1000), rows))
    assert play.ticks[0].layout == Layout(1, 832)
    assert play.ticks[-1].layout == Layout(16, 64)
    assert len(play.ticks) < 500


def test_rows_with_images_wait_until_one_slot_in_eight_is_free() -> None:
    scheduler = scheduler_of(*[2] * 16, limits=Limits(kv_tokens=4000, num_slots=16, step_tokens=40))
    scheduler.step()
    for row in (16, 17, 18):
        scheduler.add(row, prompt_tokens=10, new_tokens=8, is_whole=True)
    scheduler.end(3)
    step = scheduler.step()
    assert (len(step.live), step.chunks) == (15, ())
    scheduler.end(5)
    assert scheduler.step() == Step((), (Chunk(16, 3, 0, 10, True), Chunk(17, 5, 0, 10, True)))
    assert len(scheduler.step().live) == 16


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
    assert scheduler.step() == Step((), (Chunk(0, 0, 0, 9, True), Chunk(1, 1, 0, 8, True)))


def test_after_a_failure_the_slots_are_long_enough_for_all_that_wait() -> None:
    scheduler = scheduler_of(9, 8)
    scheduler.step()
    scheduler.add(2, prompt_tokens=150, new_tokens=8)
    assert scheduler.step().chunks == ()
    scheduler.shrink()
    scheduler.step()
    assert scheduler.layout.slot_tokens == 3 * ROUND_TOKENS


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
    assert scheduler.step() == Step((), (Chunk(1, 0, 0, 10, True),))


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
