"""The tokens of one step side by side: which they are, where each stands, whose logits are wanted. Plain integers.

Decoded rows come first, whose newest tokens the device knows, then those with drafts, then pieces of prompts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from relabel.engine.api.request import Request
from relabel.engine.scheduling.step import DecodeRow, PrefillChunk


@dataclass(slots=True)
class Stream:
    """Lists of one number a token, but for `ids`, which begins behind the decoded rows."""

    ids: list[int] = field(default_factory=list[int])
    positions: list[int] = field(default_factory=list[int])
    slots: list[int] = field(default_factory=list[int])
    wanted: list[int] = field(default_factory=list[int])
    """The tokens whose logits are wanted."""

    @classmethod
    def of(
        cls,
        decode_rows: Sequence[DecodeRow],
        drafts: Mapping[int, Sequence[int]],
        chunks: Sequence[PrefillChunk],
        requests: Mapping[int, Request],
    ) -> Stream:
        """`drafts` holds the newest token and the draft of each row that has one; these rows are the last ones."""
        stream = cls()
        for row in decode_rows:
            known = drafts[row.row][: 1 + row.num_drafted] if row.num_drafted else ()
            stream._add(row.slot, row.position, 1 + row.num_drafted, known)
        stream.wanted = list(range(len(stream.slots)))
        for chunk in chunks:
            prompt = requests[chunk.row].prompt_ids[chunk.start : chunk.end]
            stream._add(chunk.slot, chunk.start, len(prompt), prompt)
            if chunk.is_last:
                stream.wanted.append(len(stream.slots) - 1)
        return stream

    def _add(self, slot: int, position: int, length: int, ids: Sequence[int]) -> None:
        self.ids.extend(ids)
        self.positions.extend(range(position, position + length))
        self.slots.extend([slot] * length)
