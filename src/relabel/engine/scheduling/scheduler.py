"""Continuous batching as policy: which rows hold a slot of the KV cache, and which tokens the next forward computes.

Every step decodes one token of all live rows and fills the rest of its budget with prompts (chunked where they are
longer). A row that ends gives its slot to the next one at once. Plain integers: knows nothing of torch, models or text.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator

from relabel.engine.scheduling.batching import Budget
from relabel.engine.scheduling.queued import Queued, in_order
from relabel.engine.scheduling.step import Chunk, Family, Layout, Limits, Live, Step

LOOK_AHEAD = 1024
"""Rows that are sorted together, longest first. The next ones are taken when all of them are in: none can starve."""
ROUND_TOKENS = 64
"""Slots are made this much longer at a time, and by a quarter, so that a longer row seldom needs a new layout."""
SMALLEST_CHUNK = 16
"""A longer prompt is not begun with fewer tokens than these: each piece costs its attention a call a layer."""
IMAGE_REFILL = 8
"""Rows with images interrupt the decoding of all others, so they wait until one slot in so many is free."""


class Scheduler:
    """Give it rows, ask it for steps, tell it which rows have ended."""

    def __init__(self, limits: Limits) -> None:
        self._full, self._budget = limits, Budget(limits.num_slots)
        self.layout = Layout(0, 0)
        """Changes only while no row holds a slot."""
        self._arrivals: deque[Queued] = deque()
        self._window: deque[Queued] = deque()
        self._deferred: deque[Queued] = deque()
        """Rows whose family is being computed: they come next."""
        self._sources: dict[int, int] = {}
        """For each family a slot that holds what it has in common, as of the last step."""
        self._begun: set[int] = set()
        """Families of which a row is held and no such slot is there yet."""
        self._left: dict[int, int] = {}
        """The slots of rows that have ended, by family: what they hold is there until another row comes in."""
        self._held: dict[int, Queued] = {}
        self._free: list[int] = []
        """A heap: low slots first, so that the slots in use lie together."""

    @property
    def limits(self) -> Limits:
        """What may be held at present: less after a failure, and slowly more again."""
        return self._full.scaled(self._budget.tokens)

    @property
    def full_limits(self) -> Limits:
        """What may be held when all goes well."""
        return self._full

    @property
    def is_idle(self) -> bool:
        return not (self._arrivals or self._window or self._deferred or self._held)

    @property
    def num_held(self) -> int:
        """Rows that hold a slot."""
        return len(self._held)

    def fits(self, prompt_tokens: int, new_tokens: int) -> bool:
        """Whether a row could be held at all."""
        return prompt_tokens + new_tokens <= self._full.kv_tokens

    def add(
        self,
        row: int,
        *,
        prompt_tokens: int,
        new_tokens: int,
        shared: int = 0,
        is_whole: bool = False,
        family: Family | None = None,
    ) -> None:
        """A new row; the first `shared` tokens of its prompt will be in its slot already."""
        if not (0 <= shared < prompt_tokens and new_tokens >= 1 and self.fits(prompt_tokens, new_tokens)):
            raise ValueError(f"row {row} has nothing to compute, or needs more than {self._full.kv_tokens} tokens")
        self._arrivals.append(Queued(row, prompt_tokens, new_tokens, is_whole, shared, shared, family))

    def step(self) -> Step | None:
        """The next forward, counted as done; None when there is nothing to compute."""
        self._look_ahead()
        self._find_families()
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
        held = self._held.pop(row)
        heapq.heappush(self._free, held.slot)
        if held.family:
            self._left[held.family.number] = held.slot
        self._budget.succeeded()

    def shrink(self) -> tuple[list[int], int | None]:
        """The last step failed: begin its rows again, half as many at a time, until the one at fault is alone.

        Returns the rows that begin again, and the one that failed alone, in one slot and in small pieces: it is
        forgotten.
        """
        in_flight = list(self._held.values())
        self._held.clear()
        self._left.clear()
        self.layout, self._free = Layout(0, 0), []
        if len(in_flight) == 1 and self._budget.tokens == 1:
            self._budget.failed_alone()
            return [], in_flight[0].row
        self._budget.failed(len(in_flight))
        for held in in_flight:
            held.filled = held.shared
        self._window.extendleft(reversed([*in_flight, *self._deferred]))
        self._deferred.clear()
        return [row.row for row in in_flight], None

    def _look_ahead(self) -> None:
        self._window.extendleft(reversed(self._deferred))
        self._deferred.clear()
        if not self._window:
            taken = [self._arrivals.popleft() for _ in range(min(LOOK_AHEAD, len(self._arrivals)))]
            self._window.extend(in_order(taken))
        if not self._held and self._window:
            self._lay_out(max(row.needs for row in self._window))

    def _lay_out(self, needs: int) -> None:
        """Slots long enough for the rows that wait; longer ones stay unless there could be twice as many."""
        now = self.layout
        if needs <= now.slot_tokens and not self._is_outgrown(needs):
            return
        self.layout = self._slots_of(needs + needs // 4 if 0 < now.slot_tokens < needs else needs, needs)
        self._free = list(range(self.layout.num_slots))
        self._left.clear()

    def _slots_of(self, wanted: int, needs: int) -> Layout:
        limits = self.limits
        slot_tokens = max(needs, min(-(-wanted // ROUND_TOKENS) * ROUND_TOKENS, limits.kv_tokens))
        return Layout(max(1, min(limits.num_slots, limits.kv_tokens // slot_tokens)), slot_tokens)

    def _is_outgrown(self, needs: int) -> bool:
        """There could be twice the slots, because the long rows are through or the limits have grown."""
        return self._slots_of(needs, needs).num_slots >= 2 * self.layout.num_slots

    def _images(self) -> Iterator[Chunk]:
        """Waiting rows with images, whole, up to the budget but at least one; nothing where the front is text."""
        is_worth_it = len(self._free) * IMAGE_REFILL >= self.layout.num_slots
        if not is_worth_it or any(held.is_filling for held in self._held.values()):
            return
        room = self.limits.step_tokens
        while self._can_admit() and self._is_whole(row := self._window[0]):
            length = row.prompt_tokens - row.filled
            if length > room < self.limits.step_tokens:
                return
            room = max(0, room - length)
            yield self._admit(length)

    def _texts(self, room: int, *, is_alone: bool) -> Iterator[Chunk]:
        """The prompt that was begun, then waiting rows into free slots, until the budget is spent.

        At most one is under way, since it takes all that is left of a step; and a step has room for more than its live.
        """
        for held in [held for held in self._held.values() if held.is_filling]:
            chunk = self._fill(held, room)
            room, is_alone = room - (chunk.end - chunk.start), False
            yield chunk
        while room > 0 and self._can_admit() and not self._is_whole(row := self._window[0]):
            if row.prompt_tokens - self._begins_at(row) > room < SMALLEST_CHUNK and not is_alone:
                return
            chunk = self._admit(room)
            room, is_alone = room - (chunk.end - chunk.start), False
            yield chunk

    def _find_families(self) -> None:
        """Which families can be copied from: what is filled by now is computed before this step is."""
        members = [(held.family, held) for held in self._held.values() if held.family]
        filled = {own.number: held.slot for own, held in members if held.filled >= own.num_tokens}
        self._sources = {**self._left, **filled}
        self._begun = {own.number for own, _ in members} - self._sources.keys()

    def _is_whole(self, row: Queued) -> bool:
        """Its images have to be computed."""
        return row.is_whole and self._source_of(row) is None

    def _source_of(self, row: Queued) -> int | None:
        return self._sources.get(row.family.number) if row.family else None

    def _begins_at(self, row: Queued) -> int:
        return row.filled if self._source_of(row) is None or not row.family else row.family.num_tokens

    def _can_admit(self) -> bool:
        """No row is admitted until all have left and the slots are made anew, where there could be twice as many.

        Rows whose family is only being computed are put off to the next step.
        """
        while self._window and (own := self._window[0].family) and own.number in self._begun:
            self._deferred.append(self._window.popleft())
        if not (self._window and self._free) or self._window[0].needs > self.layout.slot_tokens:
            return False
        if not self._held or 2 * self.layout.num_slots > self.limits.num_slots:
            return True
        return not self._is_outgrown(max(row.needs for row in self._window))

    def _admit(self, room: int) -> Chunk:
        """The next row gets a slot, and its prompt is begun, where its family is there behind what that shares."""
        row, source = self._window[0], self._source_of(self._window[0])
        row.filled = self._begins_at(self._window.popleft())
        row.slot = heapq.heappop(self._free)
        self._held[row.row] = row
        self._left = {family: slot for family, slot in self._left.items() if slot != row.slot}
        own = row.family.number if row.family else None
        self._sources = {family: slot for family, slot in self._sources.items() if slot != row.slot or family == own}
        if row.family and source is None:
            self._begun.add(row.family.number)
        return self._fill(row, room)._replace(is_first=True, source=source)

    @staticmethod
    def _fill(row: Queued, room: int) -> Chunk:
        start, row.filled = row.filled, min(row.prompt_tokens, row.filled + room)
        return Chunk(row.row, row.slot, start, row.filled, row.filled == row.prompt_tokens, is_first=False)
