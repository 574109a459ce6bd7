"""An engine that computes nothing, over the scheduler: any rows, arrivals, ends and failures, step by step."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import strategies as st

from relabel.engine.scheduling.scheduler import LOOK_AHEAD, Scheduler
from relabel.engine.scheduling.step import DecodeRow, Layout, Limits, PrefillChunk, PrefixGroup, Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    prompt_tokens: int
    new_tokens: int
    num_chosen: int
    """Tokens after which it ends by itself, at most new_tokens."""
    shared: int = 0
    is_whole: bool = False
    prefix_group: PrefixGroup | None = None
    arrives: int = 0
    """Before which step."""
    is_poison: bool = False
    """Every step that computes it fails."""
    drafts: tuple[tuple[int, int], ...] = ()
    """One after the other, how many tokens are drafted for it and how many of them are accepted at most; then again."""

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
    """Rows and their slots, without those that this step puts back."""
    blocks: dict[int, list[int]]
    """The blocks that each row has when the step is computed, by its slot."""
    at: dict[int, int]
    """How far each held row was computed."""
    waiting: list[int]
    """Rows of the look-ahead window, in the order in which they should come in."""

    @property
    def chunks(self) -> tuple[PrefillChunk, ...]:
        return self.step.chunks if self.step else ()

    @property
    def decode_rows(self) -> tuple[DecodeRow, ...]:
        return self.step.decode_rows if self.step else ()

    @property
    def admitted(self) -> list[int]:
        return [chunk.row for chunk in self.chunks if chunk.row not in self.held]

    @property
    def put_back(self) -> tuple[int, ...]:
        return self.step.put_back if self.step else ()


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
        self.failed_at: set[int] = set()
        """Which ticks failed."""
        self._num_chosen: dict[int, int] = {}
        self._held: dict[int, int] = {}
        self._blocks: dict[int, list[int]] = {}
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
            # as many steps as if one row came after the other, however often others are put back beside it
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
            prefix_group=row.prefix_group,
        )
        self._arrived.append(number)

    def _advance(self) -> list[int]:
        """The rows that end with the next step."""
        rows = self.case.rows
        drafts = {number: self._draft(number)[0] for number in self._held if rows[number].drafts}
        step = self.scheduler.step(drafts)
        for row in step.put_back if step else ():
            del self._held[row]
            self._waiting.insert(0, row)
        if not self._waiting:
            self._waiting, self._arrived = self._arrived[:LOOK_AHEAD], self._arrived[LOOK_AHEAD:]
            self._waiting.sort(key=lambda row: -rows[row].needs)
        held, waiting = dict(self._held), list(self._waiting)
        at = {row: self.pieces[row][-1][1] for row in held}
        for slot, index, block in step.taken if step else ():
            self._blocks[slot] = [*self._blocks.get(slot, [])[:index], block]
        tick = Tick(step, self.scheduler.layout, self.scheduler.limits, held, dict(self._blocks), at, waiting)
        self.ticks.append(tick)
        self._waiting = [row for row in waiting if row not in tick.admitted]
        self._held |= {chunk.row: chunk.slot for chunk in tick.chunks}
        computed = [*tick.decode_rows, *tick.chunks]
        if computed and (len(self.ticks) in self.case.failures or any(rows[piece.row].is_poison for piece in computed)):
            self._fail()
            return []
        for row in tick.admitted:
            self.pieces[row], self._num_chosen[row] = [], 0
        for chunk in tick.chunks:
            self.pieces[chunk.row].append((chunk.start, chunk.end))
        for decoded in tick.decode_rows:
            # the last token that it chooses by itself ends it, and what was drafted behind that is nobody's
            row, num_chosen = rows[decoded.row], self._num_chosen[decoded.row]
            left = row.num_chosen - num_chosen - 1
            accepted = min(decoded.num_drafted, self._draft(decoded.row)[1], left)
            if decoded.num_drafted:
                self.scheduler.accept(decoded.row, accepted)
                self._num_chosen[decoded.row] += accepted
            self.pieces[decoded.row].append((decoded.position, decoded.position + 1 + accepted))
        chosen = [decoded.row for decoded in tick.decode_rows] + [chunk.row for chunk in tick.chunks if chunk.is_last]
        for row in chosen:
            self._num_chosen[row] += 1
        return [row for row in chosen if self._num_chosen[row] == rows[row].num_chosen]

    def _draft(self, number: int) -> tuple[int, int]:
        """What is drafted for a row before this step, and how much of it is right."""
        drafts = self.case.rows[number].drafts
        return drafts[len(self.pieces[number]) % len(drafts)] if drafts else (0, 0)

    def _fail(self) -> None:
        in_flight = list(self._held)
        before = self.scheduler.limits
        self.failed_at.add(len(self.ticks) - 1)
        again, lost = self.scheduler.shrink()
        self.failed.append((in_flight, before, self.scheduler.limits))
        self._held.clear()
        self._waiting = [*again, *self._waiting]
        if lost is not None:
            self.lost.append(lost)
        assert sorted([*again, *([] if lost is None else [lost])]) == sorted(in_flight)


two_numbers = st.tuples(st.integers(0, 9), st.integers(0, 9))


@st.composite
def any_row(draw: st.DrawFn, *, with_images: bool, with_poison: bool, with_drafts: bool) -> Row:
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
        drafts=tuple(draw(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=3)))
        if with_drafts
        else (),
    )


@st.composite
def any_case(
    draw: st.DrawFn,
    *,
    with_images: bool = True,
    with_failures: bool = True,
    with_poison: bool = False,
    is_tight: bool = False,
) -> Case:
    num_slots = draw(st.integers(1, 20))
    limits = Limits(
        kv_tokens=draw(st.integers(140, 250) if is_tight else st.integers(140, 250) | st.integers(140, 3000)),
        num_slots=num_slots,
        step_tokens=num_slots + draw(st.integers(1, 60)),
        block_tokens=draw(st.sampled_from([1, 3, 16, 64])),
    )
    is_late = draw(st.booleans())
    row = any_row(
        with_images=with_images and draw(st.booleans()),
        with_poison=with_poison,
        with_drafts=not is_late and draw(st.booleans()),  # who looks a step late has no newest tokens to draft behind
    )
    num_rows = draw(st.integers(1, 30))
    rows = draw(st.lists(row, min_size=num_rows, max_size=num_rows))
    fails = with_failures and draw(st.booleans())
    failures = draw(st.sets(st.integers(1, 40), min_size=1, max_size=6)) if fails else set()
    return Case(limits, rows, is_late, failures)
