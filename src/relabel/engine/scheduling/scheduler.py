"""Continuous batching as policy: which rows hold a slot of the KV cache, and which tokens the next forward computes.

Every step decodes one token of each row whose prompt is through, and fills the rest of its budget with prompts (chunked
where they are longer). A row that ends gives its slot to the next one at once. Plain integers: knows nothing of torch,
models or text.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator, Mapping

from relabel.engine.scheduling.batching import Budget
from relabel.engine.scheduling.prefix_groups import PrefixGroups
from relabel.engine.scheduling.queued import Queued, in_order
from relabel.engine.scheduling.step import DecodeRow, Layout, Limits, PrefillChunk, PrefixGroup, Step

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
        """Rows whose prefix group is being computed: they come next."""
        self._groups = PrefixGroups()
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
        prefix_group: PrefixGroup | None = None,
    ) -> None:
        """A new row; the first `shared` tokens of its prompt will be in its slot already."""
        if not (0 <= shared < prompt_tokens and new_tokens >= 1 and self.fits(prompt_tokens, new_tokens)):
            raise ValueError(f"row {row} has nothing to compute, or needs more than {self._full.kv_tokens} tokens")
        self._arrivals.append(Queued(row, prompt_tokens, new_tokens, is_whole, shared, shared, prefix_group))

    def step(self, drafts: Mapping[int, int] | None = None) -> Step | None:
        """The next forward, counted as done; None when there is nothing to compute.

        `drafts` are tokens that were drafted for rows, of which it takes as many as there is room for.
        """
        self._look_ahead()
        self._groups.look(self._held.values())
        chunks = tuple(self._images())
        decode_rows: tuple[DecodeRow, ...] = ()
        if not chunks:  # a decoded token that looks like an image's would be taken for one
            decode_rows = self._decoded(drafts or {})
            room = self.limits.step_tokens - sum(1 + row.num_drafted for row in decode_rows)
            chunks = tuple(self._texts(room, is_alone=not decode_rows))
        for decoded in decode_rows:
            self._held[decoded.row].filled = decoded.position + 1
        return Step(decode_rows, chunks) if decode_rows or chunks else None

    def accept(self, row: int, num_tokens: int) -> None:
        """So many tokens of the row's draft in the last step were accepted: they stand in its slot."""
        self._held[row].filled += num_tokens

    def end(self, row: int) -> None:
        """The row needs its slot no longer."""
        held = self._held.pop(row)
        heapq.heappush(self._free, held.slot)
        self._groups.release(held)
        self._budget.succeeded()

    def shrink(self) -> tuple[list[int], int | None]:
        """The last step failed: begin its rows again, half as many at a time, until the one at fault is alone.

        Returns the rows that begin again, and the one that failed alone, in one slot and in small pieces: it is
        forgotten.
        """
        in_flight = list(self._held.values())
        self._held.clear()
        self._groups.forget()
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
        self._groups.forget()

    def _slots_of(self, wanted: int, needs: int) -> Layout:
        limits = self.limits
        slot_tokens = max(needs, min(-(-wanted // ROUND_TOKENS) * ROUND_TOKENS, limits.kv_tokens))
        return Layout(max(1, min(limits.num_slots, limits.kv_tokens // slot_tokens)), slot_tokens)

    def _is_outgrown(self, needs: int) -> bool:
        """There could be twice the slots, because the long rows are through or the limits have grown."""
        return self._slots_of(needs, needs).num_slots >= 2 * self.layout.num_slots

    def _decoded(self, drafts: Mapping[int, int]) -> tuple[DecodeRow, ...]:
        """All rows whose prompts are through; drafts take at most half of what they leave of the budget."""
        held_rows = [held for held in self._held.values() if held.is_decoding]
        room = (self.limits.step_tokens - len(held_rows)) // 2
        decode_rows: list[DecodeRow] = []
        for held in held_rows:
            num_drafted = min(drafts.get(held.row, 0), held.needs - held.filled - 2, room)
            room -= num_drafted
            decode_rows.append(DecodeRow(held.row, held.slot, held.filled, num_drafted))
        return tuple(decode_rows)

    def _images(self) -> Iterator[PrefillChunk]:
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

    def _texts(self, room: int, *, is_alone: bool) -> Iterator[PrefillChunk]:
        """The prompt that was begun, then waiting rows into free slots, until the budget is spent.

        At most one is under way, since it takes all that is left of a step; and a step has room for more than its
        decode rows.
        """
        for held in [held for held in self._held.values() if held.is_filling]:
            chunk = self._fill(held, room)
            room, is_alone = room - (chunk.end - chunk.start), False
            yield chunk
        while room > 0 and self._can_admit() and not self._is_whole(row := self._window[0]):
            if row.prompt_tokens - self._groups.start_of(row) > room < SMALLEST_CHUNK and not is_alone:
                return
            chunk = self._admit(room)
            room, is_alone = room - (chunk.end - chunk.start), False
            yield chunk

    def _is_whole(self, row: Queued) -> bool:
        """Its images have to be computed."""
        return row.is_whole and self._groups.source_of(row) is None

    def _can_admit(self) -> bool:
        """No row is admitted until all have left and the slots are made anew, where there could be twice as many.

        Rows whose prefix group is only being computed are put off to the next step.
        """
        while self._window and self._groups.is_computing(self._window[0]):
            self._deferred.append(self._window.popleft())
        if not (self._window and self._free) or self._window[0].needs > self.layout.slot_tokens:
            return False
        if not self._held or 2 * self.layout.num_slots > self.limits.num_slots:
            return True
        return not self._is_outgrown(max(row.needs for row in self._window))

    def _admit(self, room: int) -> PrefillChunk:
        """The next row gets a slot, and its prompt is begun, behind what its prefix group shares."""
        row = self._window.popleft()
        source = self._groups.source_of(row)
        row.filled = self._groups.start_of(row)
        row.slot = heapq.heappop(self._free)
        self._held[row.row] = row
        self._groups.claim(row)
        return self._fill(row, room, is_first=True, source=source)

    @staticmethod
    def _fill(row: Queued, room: int, *, is_first: bool = False, source: int | None = None) -> PrefillChunk:
        """The next tokens of a prompt, as many as there is room for."""
        start, row.filled = row.filled, min(row.prompt_tokens, row.filled + room)
        is_last = row.filled == row.prompt_tokens
        return PrefillChunk(row.row, row.slot, start, row.filled, is_last, is_first=is_first, source=source)
