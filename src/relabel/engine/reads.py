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
from relabel.engine.upload import upload

DENSE = 2
"""Neighbouring slots are read as one view while at least one in so many of these is needed; below that copying what is
needed costs less than attending for the others."""

Some = slice | torch.Tensor
"""Neighbours, or any of which these are the numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Positions number * BLOCK and on of the slots that reach them."""

    number: int
    slots: Some
    at: Some
    """Their places in the batch."""


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
            k_MHBD = _some(keys[block.number], block.slots)
            part = torch.matmul(_some(q_PHGD, block.at), k_MHBD.transpose(2, 3)).float()
            scores[block.at, :, :, column] = part
        weights = softmax(scores, self.bias_P11W, 1).to(values.dtype)
        out_PHGD = torch.zeros(*q_PHGD.shape[:3], values.shape[-1], device=q_NHGD.device)
        for column, block in self._columns():
            part = torch.matmul(weights[block.at, :, :, column], _some(values[block.number], block.slots)).float()
            if isinstance(block.at, slice):
                out_PHGD[block.at] += part
            else:
                out_PHGD.index_add_(0, block.at, part)
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
        if not len(reach):
            continue
        around = slice(int(slots_N[reach].min()), int(slots_N[reach].max()) + 1)
        if is_dense and around.stop - around.start <= DENSE * len(reach):
            blocks.append(Block(number=number, slots=around, at=around))
        else:
            at = slice(0, num_places) if len(reach) == num_places else upload(places_N[reach], device)
            blocks.append(Block(number=number, slots=upload(slots_N[reach], device), at=at))
    keys_W = np.concatenate([np.arange(block.number * BLOCK, (block.number + 1) * BLOCK) for block in blocks])
    ends_P = np.full(num_places, ends_N[0])  # places without a row attend, too; nobody looks at what comes of it
    ends_P[places_N] = ends_N
    bias_PW = bias_of(upload(ends_P, device), upload(keys_W, device), window)
    is_in_order = np.array_equal(places_N, np.arange(num_places))
    return Reads(
        rows_N=None if is_in_order else upload(places_N, device),
        num_places=num_places,
        blocks=tuple(blocks),
        bias_P11W=bias_PW[:, None, None],
    )


def _some(tensor: torch.Tensor, which: Some) -> torch.Tensor:
    """A view of neighbours, a copy of others."""
    return tensor[which] if isinstance(which, slice) else tensor.index_select(0, which)
