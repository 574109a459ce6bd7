"""Attention of decoded rows over the KV cache, block by block: a row costs its own length, not that of the longest.

Plain matrix products on any device; grouped query heads stand beside each other over one key head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from relabel.engine.slots import BLOCK, Slots
from relabel.engine.softmax import Softmax, bias_of

DENSE = 2
"""A block of all slots up to the highest in use is read as one view while at least one in so many of these needs it;
below that copying what is needed costs less than attending for the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Positions number * BLOCK and on of the slots that reach them."""

    number: int
    slots: slice | torch.Tensor
    at: torch.Tensor | None
    """Their places in the batch; None where they are all places."""

    def of(self, kept: torch.Tensor) -> torch.Tensor:
        """[slots, kv heads, BLOCK, head size]: a view of a slice, a copy of slots picked by index."""
        if isinstance(self.slots, slice):
            return kept[self.number, self.slots]
        return kept[self.number].index_select(0, self.slots)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reads:
    """What the decoded rows of one forward read, the same in all layers with one window."""

    rows_N: torch.Tensor | None
    """The place of each row in the batch, where that is not its own number."""
    num_places: int
    blocks: tuple[Block, ...]
    bias_P11W: torch.Tensor

    def attend(self, slots: Slots, layer: int, q_NHGD: torch.Tensor, softmax: Softmax) -> torch.Tensor:
        """One query a row: the same shape as `q_NHGD`, whose G are the query heads of one key head."""
        keys, values = slots.keys[layer], slots.values[layer]
        q_PHGD = q_NHGD
        if self.rows_N is not None:
            q_PHGD = q_NHGD.new_zeros(self.num_places, *q_NHGD.shape[1:]).index_copy_(0, self.rows_N, q_NHGD)
        scores = torch.zeros(*q_PHGD.shape[:3], self.bias_P11W.shape[-1], device=q_NHGD.device)
        for column, block in self._columns():
            q_MHGD = q_PHGD if block.at is None else q_PHGD.index_select(0, block.at)
            part = torch.matmul(q_MHGD, block.of(keys).transpose(2, 3))
            if block.at is None:
                scores[..., column] = part
            else:
                scores[block.at, :, :, column] = part.float()
        weights = softmax(scores, self.bias_P11W, 1).to(values.dtype)
        out_PHGD = torch.zeros(*q_PHGD.shape[:3], values.shape[-1], device=q_NHGD.device)
        for column, block in self._columns():
            weights_MHGB = weights[slice(None) if block.at is None else block.at, :, :, column]
            part = torch.matmul(weights_MHGB, block.of(values)).float()
            out_PHGD = out_PHGD.add_(part) if block.at is None else out_PHGD.index_add_(0, block.at, part)
        out_PHGD = out_PHGD.to(values.dtype)
        return out_PHGD if self.rows_N is None else out_PHGD[self.rows_N]

    def _columns(self) -> list[tuple[slice, Block]]:
        return [(slice(at * BLOCK, (at + 1) * BLOCK), block) for at, block in enumerate(self.blocks)]


def plan_reads(slots: Sequence[int], ends: Sequence[int], window: int | None, device: torch.device) -> Reads:
    """For rows in `slots`, each with its newest token at a position `ends`."""
    slots_N, ends_N = np.asarray(slots), np.asarray(ends)
    starts_N = np.zeros_like(ends_N) if window is None else np.maximum(ends_N - window + 1, 0)
    num_slots = int(slots_N.max()) + 1
    is_dense = num_slots <= DENSE * len(slots_N)
    places_N = slots_N if is_dense else np.arange(len(slots_N))
    num_places = num_slots if is_dense else len(slots_N)
    blocks = []
    for number in range(int(starts_N.min()) // BLOCK, int(ends_N.max()) // BLOCK + 1):
        reach = np.flatnonzero((ends_N >= number * BLOCK) & (starts_N < (number + 1) * BLOCK))
        if is_dense and num_slots <= DENSE * len(reach):
            blocks.append(Block(number=number, slots=slice(0, num_slots), at=None))
        elif len(reach):
            at = None if len(reach) == num_places else torch.as_tensor(places_N[reach], device=device)
            blocks.append(Block(number=number, slots=torch.as_tensor(slots_N[reach], device=device), at=at))
    keys_W = np.concatenate([np.arange(block.number * BLOCK, (block.number + 1) * BLOCK) for block in blocks])
    ends_P = np.full(num_places, ends_N[0])  # places without a row attend, too; nobody looks at what comes of it
    ends_P[places_N] = ends_N
    bias_PW = bias_of(torch.as_tensor(ends_P, device=device), torch.as_tensor(keys_W, device=device), window)
    is_in_order = np.array_equal(places_N, np.arange(num_places))
    return Reads(
        rows_N=None if is_in_order else torch.as_tensor(places_N, device=device),
        num_places=num_places,
        blocks=tuple(blocks),
        bias_P11W=bias_PW[:, None, None],
    )
