"""A row as the scheduler sees it: how long it is, what of it is there, which rows it begins like. Plain integers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from relabel.engine.scheduling.step import PrefillChunk, PrefixGroup


@dataclass(slots=True)
class Queued:
    row: int
    prompt_tokens: int
    new_tokens: int
    is_whole: bool
    """Its prompt holds images: it is computed in one piece, in a step of such rows alone."""
    filled: int
    """Tokens that are there."""
    shared: int
    """Those of a shared prefix, which are there from the beginning."""
    prefix_group: PrefixGroup | None
    slot: int = -1
    blocks: list[int] = field(default_factory=list[int])
    """Those it holds, in order."""
    needs: int = field(init=False)
    """Tokens of it and its longest text."""

    def __post_init__(self) -> None:
        self.needs = self.prompt_tokens + self.new_tokens

    @property
    def is_filling(self) -> bool:
        return self.filled < self.prompt_tokens

    @property
    def is_decoding(self) -> bool:
        """The last token is chosen but never computed: nothing comes after it."""
        return self.prompt_tokens <= self.filled < self.needs - 1

    def fill(self, room: int, *, is_first: bool = False, source: tuple[int, ...] | None = None) -> PrefillChunk:
        """The next tokens of its prompt, as many as there is room for."""
        start, self.filled = self.filled, min(self.prompt_tokens, self.filled + room)
        return PrefillChunk(
            self.row, self.slot, start, self.filled, not self.is_filling, is_first=is_first, source=source
        )


def in_order(rows: Sequence[Queued]) -> list[Queued]:
    """Longest first, and the rows of a prefix group together."""
    longest: dict[int, int] = {}
    for row in rows:
        if row.prefix_group:
            longest[row.prefix_group.number] = max(row.needs, longest.get(row.prefix_group.number, 0))

    def key(row: Queued) -> tuple[int, int, int]:
        own = row.prefix_group
        return (-longest[own.number], own.number, -row.needs) if own else (-row.needs, -1, 0)

    return sorted(rows, key=key)
