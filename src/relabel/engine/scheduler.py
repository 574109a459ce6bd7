"""Continuous batching as policy: which rows hold a slot of the KV cache, and which tokens the next forward computes.

Every step decodes one token of all live rows and fills the rest of its budget with prompts (chunked where they are
longer). A row that ends gives its slot to the next one at once. Plain integers: knows nothing of torch, models or text.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

LOOK_AHEAD = 1024
"""Rows that are sorted together, longest first. The next ones are taken when all of them are in: none can starve."""
ROUND_TOKENS = 64
"""Slots are made this much longer at a time, and by a quarter, so that a longer row seldom needs a new layout."""
SMALLEST_CHUNK = 16
"""A longer prompt is not begun with fewer tokens than these: each piece costs its attention a call a layer."""
IMAGE_REFILL = 8
"""Rows with images interrupt the decoding of all others, so they wait until one slot in so many is free."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much the engine may hold. Measured by the memory plan; halved when something did not fit."""

    kv_tokens: int
    """Tokens in all slots together."""
    num_slots: int
    """Rows at once, if they are short enough."""
    step_tokens: int
    """Tokens of one forward; only a single row with images may exceed it."""

    def __post_init__(self) -> None:
        if not (0 < self.num_slots < self.step_tokens and self.kv_tokens > 0):
            raise ValueError("a step must hold a token of every slot and one more")

    def halved(self) -> Limits:
        """At least one slot, and a step of it."""
        step_tokens = max(2, self.step_tokens // 2)
        return Limits(
            kv_tokens=max(1, self.kv_tokens // 2),
            num_slots=min(max(1, self.num_slots // 2), step_tokens - 1),
            step_tokens=step_tokens,
        )


class Layout(NamedTuple):
    """The KV cache as slots of one length."""

    num_slots: int
    slot_tokens: int


class Chunk(NamedTuple):
    """Tokens `start` to `end` of a row's prompt, computed into its slot."""

    row: int
    slot: int
    start: int
    end: int
    is_last: bool


class Live(NamedTuple):
    """A row that is decoded: its newest token is computed at `position` of its slot."""

    row: int
    slot: int
    position: int


@dataclass(frozen=True, slots=True)
class Step:
    """One forward. Rows of `live` and of last chunks get one new token each."""

    live: tuple[Live, ...]
    chunks: tuple[Chunk, ...]

    @property
    def num_tokens(self) -> int:
        return len(self.live) + sum(chunk.end - chunk.start for chunk in self.chunks)


@dataclass(slots=True)
class _Row:
    row: int
    prompt_tokens: int
    new_tokens: int
    is_whole: bool
    """Its prompt holds images: it is computed in one piece, in a step of such rows alone."""
    filled: int
    """Tokens in its slot."""
    shared: int
    """Those of a shared prefix, which are there from the beginning."""
    slot: int = -1

    @property
    def needs(self) -> int:
        return self.prompt_tokens + self.new_tokens

    @property
    def is_filling(self) -> bool:
        return self.filled < self.prompt_tokens

    @property
    def is_decoding(self) -> bool:
        """The last token is chosen but never computed: nothing comes after it."""
        return self.prompt_tokens <= self.filled < self.needs - 1


class Scheduler:
    """Give it rows, ask it for steps, tell it which rows have ended."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.layout = Layout(0, 0)
        """Changes only while no row holds a slot."""
        self._arrivals: deque[_Row] = deque()
        self._window: deque[_Row] = deque()
        self._held: dict[int, _Row] = {}
        self._free: list[int] = []
        """A heap: low slots first, so that the slots in use lie together."""
        self._unhurt: Limits | None = None
        """The limits before the failures that are going on."""

    @property
    def is_idle(self) -> bool:
        return not (self._arrivals or self._window or self._held)

    @property
    def num_held(self) -> int:
        """Rows that hold a slot."""
        return len(self._held)

    def fits(self, prompt_tokens: int, new_tokens: int) -> bool:
        """Whether a row could be held at all."""
        return prompt_tokens + new_tokens <= self.limits.kv_tokens

    def add(self, row: int, *, prompt_tokens: int, new_tokens: int, shared: int = 0, is_whole: bool = False) -> None:
        """A new row; the first `shared` tokens of its prompt will be in its slot already."""
        if not (0 <= shared < prompt_tokens and new_tokens >= 1 and self.fits(prompt_tokens, new_tokens)):
            raise ValueError(f"row {row} has nothing to compute, or needs more than {self.limits.kv_tokens} tokens")
        self._arrivals.append(_Row(row, prompt_tokens, new_tokens, is_whole, filled=shared, shared=shared))

    def step(self) -> Step | None:
        """The next forward, counted as done; None when there is nothing to compute."""
        self._look_ahead()
        chunks = tuple(self._images())
        live: tuple[Live, ...] = ()
        if not chunks:  # a decoded token that looks like an image's would be taken for one
            live = tuple(Live(held.row, held.slot, held.filled) for held in self._held.values() if held.is_decoding)
            chunks = tuple(self._texts(self.limits.step_tokens - len(live), is_alone=not live))
        for row, _, position in live:
            self._held[row].filled = position + 1
        return Step(live, chunks) if live or chunks else None

    def end(self, row: int) -> None:
        """The row needs its slot no longer."""
        heapq.heappush(self._free, self._held.pop(row).slot)
        self._unhurt = None

    def shrink(self) -> tuple[list[int], list[int]]:
        """The last step did not fit: halve the limits and begin its rows again, unless there was but one.

        Returns the rows that begin again, and those that can never be held, which are forgotten.
        """
        in_flight = list(self._held.values())
        self._held.clear()
        self.layout, self._free = Layout(0, 0), []
        if len(in_flight) == 1:
            self.limits, self._unhurt = self._unhurt or self.limits, None
            return [], [in_flight[0].row]
        self._unhurt = self._unhurt or self.limits
        self.limits = self.limits.halved()
        for held in in_flight:
            held.filled = held.shared
        self._window.extendleft(reversed(in_flight))
        lost = {row.row for row in (*self._window, *self._arrivals) if row.needs > self.limits.kv_tokens}
        self._window = deque(row for row in self._window if row.row not in lost)
        self._arrivals = deque(row for row in self._arrivals if row.row not in lost)
        return [row.row for row in in_flight if row.row not in lost], sorted(lost)

    def _look_ahead(self) -> None:
        if not self._window:
            taken = [self._arrivals.popleft() for _ in range(min(LOOK_AHEAD, len(self._arrivals)))]
            self._window.extend(sorted(taken, key=lambda row: -row.needs))
        if not self._held and self._window:
            self._lay_out(max(row.needs for row in self._window))

    def _lay_out(self, needs: int) -> None:
        """Slots long enough for the rows that wait; longer ones stay unless they cost slots."""
        now, limits = self.layout, self.limits
        if needs <= now.slot_tokens and (now.num_slots == limits.num_slots or now.slot_tokens <= 2 * needs):
            return
        wanted = needs + needs // 4 if 0 < now.slot_tokens < needs else needs
        slot_tokens = max(needs, min(-(-wanted // ROUND_TOKENS) * ROUND_TOKENS, limits.kv_tokens))
        self.layout = Layout(max(1, min(limits.num_slots, limits.kv_tokens // slot_tokens)), slot_tokens)
        self._free = list(range(self.layout.num_slots))

    def _images(self) -> Iterator[Chunk]:
        """Waiting rows with images, whole, up to the budget but at least one; nothing where the front is text."""
        is_worth_it = len(self._free) * IMAGE_REFILL >= self.layout.num_slots or not self._held
        if not is_worth_it or any(held.is_filling for held in self._held.values()):
            return
        room = self.limits.step_tokens
        while self._can_admit() and (row := self._window[0]).is_whole:
            length = row.prompt_tokens - row.filled
            if length > room < self.limits.step_tokens:
                return
            room = max(0, room - length)
            yield self._fill(self._admit(), length)

    def _texts(self, room: int, *, is_alone: bool) -> Iterator[Chunk]:
        """Prompts that were begun, then waiting rows into free slots, until the budget is spent."""
        for held in [held for held in self._held.values() if held.is_filling]:
            if room > 0:
                chunk = self._fill(held, room)
                room, is_alone = room - (chunk.end - chunk.start), False
                yield chunk
        while room > 0 and self._can_admit() and not (row := self._window[0]).is_whole:
            if row.prompt_tokens - row.filled > room < SMALLEST_CHUNK and not is_alone:
                return
            chunk = self._fill(self._admit(), room)
            room, is_alone = room - (chunk.end - chunk.start), False
            yield chunk

    def _can_admit(self) -> bool:
        return bool(self._window and self._free) and self._window[0].needs <= self.layout.slot_tokens

    def _admit(self) -> _Row:
        row = self._window.popleft()
        row.slot = heapq.heappop(self._free)
        self._held[row.row] = row
        return row

    @staticmethod
    def _fill(row: _Row, room: int) -> Chunk:
        start, row.filled = row.filled, min(row.prompt_tokens, row.filled + room)
        return Chunk(row.row, row.slot, start, row.filled, row.filled == row.prompt_tokens)
