"""The blocks that rows hold, and whether those that are held will find more to their ends. Plain integers.

Knows one layout and how texts have ended lately; not who waits or in which order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter

from relabel.engine.scheduling.blocks import Blocks
from relabel.engine.scheduling.outlook import Outlook
from relabel.engine.scheduling.prefix_groups import PrefixGroups
from relabel.engine.scheduling.queued import Queued
from relabel.engine.scheduling.step import DecodeRow, Layout, TakenBlock

SPARED = 8
"""One block in so many is kept free for prompts at most, while ended rows have left some that others would copy."""

_NEEDS = attrgetter("needs")


class Room:
    """The blocks of one layout."""

    def __init__(self, layout: Layout, outlook: Outlook) -> None:
        self.layout = layout
        self._blocks, self._outlook = Blocks(layout), outlook
        self._taken: list[TakenBlock] = []

    @property
    def num_free(self) -> int:
        return self._blocks.num_free

    def num_blocks(self, num_tokens: int) -> int:
        """Blocks that hold so many tokens."""
        return -(-num_tokens // self.layout.block_tokens)

    def lacks_a_block(self, row: Queued) -> bool:
        """Whether its next token has no place."""
        return row.is_decoding and row.filled >= len(row.blocks) * self.layout.block_tokens

    def take(self, row: Queued, num_blocks: int = 1) -> None:
        """The row takes some more."""
        for index in range(len(row.blocks), len(row.blocks) + num_blocks):
            row.blocks.append(self._blocks.take(row.slot, index))
            self._taken.append(TakenBlock(row.slot, index, row.blocks[-1]))

    def decoded(self, rows: Iterable[Queued], drafts: Mapping[int, int], step_tokens: int) -> tuple[DecodeRow, ...]:
        """All rows whose prompts are through, with what there is room for of their drafts: in a step, where these take
        at most half of what the rows leave, and in blocks that are theirs or free."""
        ready = [row for row in rows if row.is_decoding]
        room = (step_tokens - len(ready)) // 2
        decode_rows: list[DecodeRow] = []
        for row in ready:
            if row.row not in drafts:  # it has a place for the next token
                decode_rows.append(DecodeRow(row.row, row.slot, row.filled))
                continue
            num_drafted = min(drafts[row.row], row.needs - row.filled - 2, room)
            lacks = self.num_blocks(row.filled + 1 + num_drafted) - len(row.blocks)
            self.take(row, max(0, min(lacks, self.num_free)))
            num_drafted = min(num_drafted, len(row.blocks) * self.layout.block_tokens - row.filled - 1)
            room -= num_drafted
            decode_rows.append(DecodeRow(row.row, row.slot, row.filled, num_drafted))
        return tuple(decode_rows)

    def make_way(self, groups: PrefixGroups, prompt_tokens: int, step_tokens: int) -> None:
        """What ended rows have left for their groups goes, the oldest first, until the next prompts have room: one of
        this length, and more of one step."""
        needs = max(self.num_blocks(prompt_tokens), min(self.num_blocks(step_tokens), self.layout.num_blocks // SPARED))
        while self.num_free < needs and (left := groups.evict()):
            self.give_back(left)

    def give_back(self, blocks: Iterable[int]) -> None:
        """Their row needs them no longer."""
        self._blocks.give_back(blocks)

    def taken(self) -> tuple[TakenBlock, ...]:
        """What was taken since this was asked last."""
        taken, self._taken = self._taken, []
        return tuple(taken)

    def is_enough(self, rows: Sequence[Queued], share: float = 1) -> bool:
        """Whether these rows stay within this share of the blocks, as far as can be expected."""
        room = int(share * self.layout.num_blocks)
        if len(rows) * self.num_blocks(max(map(_NEEDS, rows), default=0)) <= room:
            return True
        if sum(self.num_blocks(row.needs - 1) for row in rows) <= room:
            return True
        return self._outlook.peak(rows, self.layout.block_tokens) <= room * self.layout.block_tokens
