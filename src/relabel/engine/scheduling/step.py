"""What one forward of the continuous engine computes, and what bounds it: plain values, no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much the engine may hold, as the memory plan measured it."""

    kv_tokens: int
    """Tokens of all rows together."""
    num_slots: int
    """Rows at once, if they are short enough."""
    step_tokens: int
    """Tokens of one forward; only a single row with images may exceed it."""
    block_tokens: int = 64
    """Tokens of a block of the KV cache. A row takes blocks as it grows."""

    def __post_init__(self) -> None:
        if not (0 < self.num_slots < self.step_tokens and self.kv_tokens > 0 and self.block_tokens > 0):
            raise ValueError("a step must hold a token of every slot and one more")

    @property
    def num_blocks(self) -> int:
        """Blocks that hold `kv_tokens`."""
        return -(-self.kv_tokens // self.block_tokens)

    def scaled(self, num_slots: int) -> Limits:
        """The same for fewer slots."""
        return Limits(
            kv_tokens=max(1, self.kv_tokens * num_slots // self.num_slots),
            num_slots=num_slots,
            step_tokens=max(num_slots + 1, self.step_tokens * num_slots // self.num_slots),
            block_tokens=self.block_tokens,
        )


class Layout(NamedTuple):
    """The KV cache as blocks of one length, which any row may take."""

    num_slots: int
    """Rows at once."""
    num_blocks: int
    block_tokens: int

    @classmethod
    def of_rows(cls, num_rows: int, num_tokens: int, block_tokens: int) -> Layout:
        """Enough for so many rows of so many tokens."""
        return cls(num_rows, num_rows * -(-num_tokens // block_tokens), block_tokens)


class TakenBlock(NamedTuple):
    """A block that is from now on the one at `at` of the row in a slot."""

    slot: int
    at: int
    block: int


def home(slot: int, at: int, num_slots: int) -> int:
    """The block that a row takes if it is free: those at one place of all rows then lie side by side in the order of
    slots, so that a matrix product takes them as they are."""
    return at * num_slots + slot


class PrefixGroup(NamedTuple):
    """Rows whose prompts begin with the same `num_tokens`, images included: the first computes them for all."""

    number: int
    num_tokens: int


class PrefillChunk(NamedTuple):
    """Tokens `start` to `end` of a row's prompt."""

    row: int
    slot: int
    start: int
    end: int
    is_last: bool
    is_first: bool = True
    """It begins its row."""
    source: tuple[int, ...] | None = None
    """The blocks of a row of its prefix group, from which it takes all that comes before `start`."""


class DecodeRow(NamedTuple):
    """A row that is decoded: its newest token is computed at `position`, and a draft behind it."""

    row: int
    slot: int
    position: int
    num_drafted: int = 0
    """Tokens of the draft: a guess at what comes next. Those that the model chooses, too, save a step each."""


@dataclass(frozen=True, slots=True)
class Step:
    """One forward. Each of its decode rows and of its last chunks gets a new token.

    A row with a draft gets one more for each token of it that is accepted.
    """

    decode_rows: tuple[DecodeRow, ...]
    """The rows whose newest token is computed."""
    chunks: tuple[PrefillChunk, ...]
    """The pieces of prompts that are computed beside them."""
    taken: tuple[TakenBlock, ...] = field(default=(), compare=False)
    """Blocks that rows take with this step, before anything is copied or computed."""
    put_back: tuple[int, ...] = field(default=(), compare=False)
    """Rows that gave their blocks to older ones before this step: they wait again, and begin anew."""

    @property
    def num_tokens(self) -> int:
        return self.num_decoded + sum(chunk.end - chunk.start for chunk in self.chunks)

    @property
    def num_decoded(self) -> int:
        """The newest tokens of rows, and their drafts."""
        return sum(1 + row.num_drafted for row in self.decode_rows)
