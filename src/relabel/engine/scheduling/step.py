"""What one forward of the continuous engine computes, and what bounds it: plain values, no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much the engine may hold, as the memory plan measured it."""

    kv_tokens: int
    """Tokens in all slots together."""
    num_slots: int
    """Rows at once, if they are short enough."""
    step_tokens: int
    """Tokens of one forward; only a single row with images may exceed it."""

    def __post_init__(self) -> None:
        if not (0 < self.num_slots < self.step_tokens and self.kv_tokens > 0):
            raise ValueError("a step must hold a token of every slot and one more")

    def scaled(self, num_slots: int) -> Limits:
        """The same for fewer slots."""
        return Limits(
            kv_tokens=max(1, self.kv_tokens * num_slots // self.num_slots),
            num_slots=num_slots,
            step_tokens=max(num_slots + 1, self.step_tokens * num_slots // self.num_slots),
        )


class Layout(NamedTuple):
    """The KV cache as slots of one length."""

    num_slots: int
    slot_tokens: int


class PrefixGroup(NamedTuple):
    """Rows whose prompts begin with the same `num_tokens`, images included: the first computes them for all."""

    number: int
    num_tokens: int


class PrefillChunk(NamedTuple):
    """Tokens `start` to `end` of a row's prompt, computed into its slot."""

    row: int
    slot: int
    start: int
    end: int
    is_last: bool
    is_first: bool = True
    """It begins its row, whose slot is still another's."""
    source: int | None = None
    """The slot of a row of its prefix group, from which it takes all that comes before `start`."""


class DecodeRow(NamedTuple):
    """A row that is decoded: its newest token is computed at `position` of its slot, and a draft behind it."""

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

    @property
    def num_tokens(self) -> int:
        return self.num_decoded + sum(chunk.end - chunk.start for chunk in self.chunks)

    @property
    def num_decoded(self) -> int:
        """The newest tokens of rows, and their drafts."""
        return sum(1 + row.num_drafted for row in self.decode_rows)
