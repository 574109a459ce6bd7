"""Continuous batching as policy: which rows are held in the KV cache, and which tokens the next forward computes.

Every step decodes one token of each row whose prompt is through, and fills the rest of its budget with prompts (chunked
where they are longer). A row takes the blocks of its prompt when it comes in and one more whenever these are full; it
comes in if all that are held are expected to find room to their ends. Where they do not, the youngest gives its blocks
back and begins anew later; the oldest never does, so that every row ends. Plain integers: no torch, models or text.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator, Mapping

from relabel.engine.scheduling.batching import Budget
from relabel.engine.scheduling.outlook import Outlook
from relabel.engine.scheduling.prefix_groups import PrefixGroups
from relabel.engine.scheduling.queued import Queued, in_order
from relabel.engine.scheduling.room import Room
from relabel.engine.scheduling.step import DecodeRow, Layout, Limits, PrefillChunk, PrefixGroup, Step

LOOK_AHEAD = 1024
"""Rows that are sorted together, longest first. The next ones are taken when all of them are in: none can starve."""
SMALLEST_CHUNK = 16
"""A longer prompt is not begun with fewer tokens than these: each piece costs its attention a call a layer."""
IMAGE_REFILL = 8
"""Rows with images interrupt the decoding of all others, so they wait until one in so many can come in."""


class Scheduler:
    """Give it rows, ask it for steps, tell it which rows have ended."""

    def __init__(self, limits: Limits) -> None:
        self._full, self._budget = limits, Budget(limits.num_slots)
        self._outlook = Outlook()
        self._room = Room(Layout(0, 0, limits.block_tokens), self._outlook)
        self._put_back: list[int] = []
        """Rows that were put back since the last step."""
        self._is_short = False
        """A row was put back, and none has ended since: none comes in."""
        self._arrivals: deque[Queued] = deque()
        self._window: deque[Queued] = deque()
        self._deferred: deque[Queued] = deque()
        """Rows whose prefix group is being computed: they come next."""
        self._groups = PrefixGroups()
        self._held: dict[int, Queued] = {}
        self._free: list[int] = []
        """A heap: low slots first, so that those in use lie together."""

    @property
    def layout(self) -> Layout:
        """Changes only while no row holds a slot."""
        return self._room.layout

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
        """A new row; the first `shared` tokens of its prompt will be in its blocks already."""
        if not (0 <= shared < prompt_tokens and new_tokens >= 1 and self.fits(prompt_tokens, new_tokens)):
            raise ValueError(f"row {row} has nothing to compute, or needs more than {self._full.kv_tokens} tokens")
        queued = Queued(row, prompt_tokens, new_tokens, is_whole, shared, shared, prefix_group)
        self._groups.expect(queued)
        self._arrivals.append(queued)

    def step(self, drafts: Mapping[int, int] | None = None) -> Step | None:
        """The next forward, counted as done; None when there is none. `drafts`: tokens that each row has drafted."""
        self._grow()
        self._look_ahead()
        self._room.give_back(self._groups.look(self._held.values()))
        chunks = tuple(self._images())
        decode_rows: tuple[DecodeRow, ...] = ()
        if not chunks:  # a decoded token that looks like an image's would be taken for one
            decode_rows = self._room.decoded(self._held.values(), drafts or {}, self.limits.step_tokens)
            room = self.limits.step_tokens - sum(1 + row.num_drafted for row in decode_rows)
            chunks = tuple(self._texts(room, is_alone=not decode_rows))
        for decoded in decode_rows:
            self._held[decoded.row].filled = decoded.position + 1
        if not (decode_rows or chunks):
            return None
        put_back, self._put_back = self._put_back, []
        return Step(decode_rows, chunks, self._room.taken(), tuple(put_back))

    def accept(self, row: int, num_tokens: int) -> None:
        """So many tokens of the row's draft in the last step were accepted: they stand in its blocks."""
        self._held[row].filled += num_tokens

    def end(self, row: int) -> None:
        """The row needs its slot and its blocks no longer."""
        held = self._held.pop(row)
        heapq.heappush(self._free, held.slot)
        self._room.give_back(self._groups.release(held, self.layout.block_tokens))
        self._outlook.saw(held)
        self._budget.succeeded()
        self._is_short = False

    def shrink(self) -> tuple[list[int], int | None]:
        """The last step failed: begin its rows again, half as many at a time, until the one at fault is alone.

        Returns the rows that begin again, and the one that failed alone, in one slot and in small pieces: it is
        forgotten.
        """
        in_flight = list(self._held.values())
        self._held.clear()
        self._groups.forget()
        self._room, self._free, self._is_short = Room(Layout(0, 0, self.layout.block_tokens), self._outlook), [], False
        if len(in_flight) == 1 and self._budget.tokens == 1:
            self._budget.failed_alone()
            return [], in_flight[0].row
        self._budget.failed(len(in_flight))
        for held in in_flight:
            self._begin_again(held)
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
            self._lay_out(max(self._room.num_blocks(row.needs - 1) for row in self._window))
        if self._window:
            self._room.make_way(self._groups, self._window[0].prompt_tokens, self.limits.step_tokens)

    def _lay_out(self, needs: int) -> None:
        """Blocks for the longest row that waits; others stay unless there could be twice as many."""
        if needs <= self.layout.num_blocks and not self._is_outgrown():
            return
        limits = self.limits
        layout = Layout(limits.num_slots, max(needs, limits.num_blocks), limits.block_tokens)
        self._room, self._free = Room(layout, self._outlook), list(range(limits.num_slots))
        self._groups.forget()

    def _is_outgrown(self) -> bool:
        """There could be twice the slots, because the limits have grown again."""
        return self.limits.num_slots >= 2 * self.layout.num_slots

    def _grow(self) -> None:
        """Rows whose blocks are full take one more, the oldest first; the youngest give way where there is none."""
        for row in [row for row in self._held.values() if self._room.lacks_a_block(row)]:
            while row.row in self._held and not self._room.num_free:
                self._room.give_back(left := self._groups.evict())
                if not left:
                    self._put_back_youngest()
            if row.row in self._held:
                self._room.take(row)

    def _put_back_youngest(self) -> None:
        _, row = self._held.popitem()
        heapq.heappush(self._free, row.slot)
        self._room.give_back(row.blocks)
        self._begin_again(row)
        self._window.appendleft(row)
        self._put_back.append(row.row)
        self._is_short = True

    def _begin_again(self, row: Queued) -> None:
        row.filled, row.blocks = row.shared, []
        self._groups.expect(row)

    def _images(self) -> Iterator[PrefillChunk]:
        """Waiting rows with images, whole, up to the budget but at least one; nothing where the front is text."""
        held, can_hold = [*self._held.values()], self._room.is_enough
        is_worth_it = len(self._free) * IMAGE_REFILL >= self.layout.num_slots and can_hold(held, 1 - 1 / IMAGE_REFILL)
        if not is_worth_it or any(row.is_filling for row in held):
            return
        room = self.limits.step_tokens
        while self._can_admit() and self._is_whole(row := self._window[0]):
            length = row.prompt_tokens - row.filled
            if length > room < self.limits.step_tokens:
                return
            room = max(0, room - length)
            yield self._admit(length)

    def _texts(self, room: int, *, is_alone: bool) -> Iterator[PrefillChunk]:
        """The prompt that was begun, then waiting rows, until the budget is spent: at most one is under way."""
        for held in [held for held in self._held.values() if held.is_filling]:
            chunk = held.fill(room)
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
        """Whether there is a slot, blocks for its prompt, and room for what all are expected to take.

        No row is admitted until all have left and the slots are made anew, where there could be twice as many. Rows
        whose prefix group is only being computed are put off to the next step.
        """
        while self._window and self._groups.is_computing(self._window[0]):
            self._deferred.append(self._window.popleft())
        if not (self._window and self._free) or self._is_short:
            return False
        row = self._window[0]
        if self._room.num_blocks(row.prompt_tokens) > self._room.num_free:
            return False
        if self._held and (self._is_outgrown() or self._room.num_blocks(row.needs - 1) > self.layout.num_blocks):
            return False
        return not self._held or self._room.is_enough([*self._held.values(), row])

    def _admit(self, room: int) -> PrefillChunk:
        """The next row gets a slot and blocks, and its prompt is begun, behind what its prefix group shares."""
        row = self._window.popleft()
        source, row.filled = self._groups.source_of(row), self._groups.start_of(row)
        row.slot = heapq.heappop(self._free)
        self._room.take(row, self._room.num_blocks(row.prompt_tokens))
        self._held[row.row] = row
        self._groups.claim(row)
        return row.fill(room, is_first=True, source=source)
