"""Attention of decoded rows over the KV cache, block by block: a row costs about its own length, whatever others have.

Plain matrix products on any device; grouped query heads stand beside each other over one key head, and so do the
queries of a row that has several, because tokens of a draft are computed with its newest one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from relabel.engine.model.upload import upload
from relabel.engine.runner.kv_cache import BLOCK, KVCache
from relabel.engine.runner.softmax import Softmax, bias_of

DENSE = 2
"""Neighbouring slots are read as one view while at least one in so many of these is needed; below that copying what is
needed costs less than attending for the others."""
SPARSE = 4
"""Rows attend together while at least one in so many of their scores is needed: one that is not costs a softmax, but no
product. Apart, each set of rows costs its own calls."""

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
class Batch:
    """Rows that attend together."""

    num_rows: int
    rows_N: torch.Tensor | None
    """The place of each row in the batch, where that is not its own number."""
    num_places: int
    blocks: tuple[Block, ...]
    bias_P1QW: torch.Tensor

    def attend(self, kv_cache: KVCache, layer: int, q_NHGD: torch.Tensor, softmax: Softmax) -> torch.Tensor:
        """The same shape as `q_NHGD`, whose G are the query heads of one key head x the Q queries of a row."""
        keys, values = kv_cache.keys[layer], kv_cache.values[layer]
        q_PHGD = q_NHGD
        if self.rows_N is not None:
            q_PHGD = q_NHGD.new_zeros(self.num_places, *q_NHGD.shape[1:]).index_copy_(0, self.rows_N, q_NHGD)
        num_queries, width = self.bias_P1QW.shape[2:]
        bias = self.bias_P1QW.repeat(1, 1, q_NHGD.shape[2] // num_queries, 1) if num_queries > 1 else self.bias_P1QW
        scores = torch.zeros(*q_PHGD.shape[:3], width, device=q_NHGD.device)
        for column, block in self._columns():
            k_MHBD = _some(keys[block.number], block.slots)
            part = torch.matmul(_some(q_PHGD, block.at), k_MHBD.transpose(2, 3)).float()
            scores[block.at, :, :, column] = part
        weights = softmax(scores, bias, num_queries).to(values.dtype)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeAttention:
    """What the decoded rows of one forward read, the same in all layers with one window."""

    batches: tuple[Batch, ...]
    order_N: torch.Tensor | None
    """The rows in the order of the batches, where there are several."""
    back_N: torch.Tensor | None
    """Where each row stands in that order."""

    def attend(self, kv_cache: KVCache, layer: int, q_NHGD: torch.Tensor, softmax: Softmax) -> torch.Tensor:
        """The same shape as `q_NHGD`, whose G are the query heads of one key head x the queries of a row."""
        if self.order_N is None or self.back_N is None:
            return self.batches[0].attend(kv_cache, layer, q_NHGD, softmax)
        parts = q_NHGD.index_select(0, self.order_N).split([batch.num_rows for batch in self.batches])
        outs = [batch.attend(kv_cache, layer, q, softmax) for batch, q in zip(self.batches, parts, strict=True)]
        return torch.cat(outs).index_select(0, self.back_N)


def plan_decode_attention(
    slots: Sequence[int] | np.ndarray, ends: Sequence[int] | np.ndarray, window: int | None, device: torch.device
) -> DecodeAttention:
    """For rows in `slots`, each with its newest token at a position `ends`, or [rows, queries] of them that rise."""
    slots_N, ends_NQ = np.asarray(slots), np.asarray(ends).reshape(len(slots), -1)
    first_N = ends_NQ[:, 0]
    starts_N = np.zeros_like(first_N) if window is None else np.maximum(first_N - window + 1, 0)
    groups = _group_rows(starts_N // BLOCK, ends_NQ[:, -1] // BLOCK)
    batches = tuple(_plan_batch(slots_N[rows], starts_N[rows], ends_NQ[rows], window, device) for rows in groups)
    if len(groups) == 1:
        return DecodeAttention(batches=batches, order_N=None, back_N=None)
    order_N = np.concatenate(groups)
    return DecodeAttention(batches=batches, order_N=upload(order_N, device), back_N=upload(np.argsort(order_N), device))


def _group_rows(first_N: np.ndarray, last_N: np.ndarray) -> list[np.ndarray]:
    """Greedy grouping by the blocks, from a first to a last one, that each row reads.

    Rows sorted by their last block join the open group unless its score matrix would then exceed SPARSE times what its
    rows need.
    """
    groups: list[list[int]] = []
    group_width = rows_width = reached = 0  # blocks that the open group covers, that its rows need, and its last one
    for row in np.argsort(last_N, kind="stable").tolist():
        first, last = int(first_N[row]), int(last_N[row])
        row_width = last - first + 1
        wider = group_width + last - max(reached, first - 1)
        if groups and (len(groups[-1]) + 1) * wider <= SPARSE * (rows_width + row_width):
            groups[-1].append(row)
            group_width, rows_width = wider, rows_width + row_width
        else:
            groups.append([row])
            group_width = rows_width = row_width
        reached = last
    return [np.sort(rows) for rows in groups]


def _plan_batch(
    slots_N: np.ndarray, starts_N: np.ndarray, ends_NQ: np.ndarray, window: int | None, device: torch.device
) -> Batch:
    last_N = ends_NQ[:, -1]
    num_slots = int(slots_N.max()) + 1
    is_dense = num_slots <= DENSE * len(slots_N)
    places_N = slots_N if is_dense else np.arange(len(slots_N))
    num_places = num_slots if is_dense else len(slots_N)
    blocks = []
    for number in range(int(starts_N.min()) // BLOCK, int(last_N.max()) // BLOCK + 1):
        reach = np.flatnonzero((last_N >= number * BLOCK) & (starts_N < (number + 1) * BLOCK))
        if not len(reach):
            continue
        around = slice(int(slots_N[reach].min()), int(slots_N[reach].max()) + 1)
        if is_dense and around.stop - around.start <= DENSE * len(reach):
            blocks.append(Block(number=number, slots=around, at=around))
        else:
            at, wanted = _numbers(places_N[reach], device), _numbers(slots_N[reach], device)
            blocks.append(Block(number=number, slots=wanted, at=at))
    keys_W = np.concatenate([np.arange(block.number * BLOCK, (block.number + 1) * BLOCK) for block in blocks])
    ends_PQ = np.tile(ends_NQ[:1], (num_places, 1))  # places without a row attend, too, and nobody looks
    ends_PQ[places_N] = ends_NQ
    bias_PQW = bias_of(upload(ends_PQ, device), upload(keys_W, device), window)
    is_in_order = np.array_equal(places_N, np.arange(num_places))
    return Batch(
        num_rows=len(slots_N),
        rows_N=None if is_in_order else upload(places_N, device),
        num_places=num_places,
        blocks=tuple(blocks),
        bias_P1QW=bias_PQW[:, None],
    )


def _numbers(numbers: np.ndarray, device: torch.device) -> Some:
    """As a slice where they are neighbours in order."""
    around = slice(int(numbers[0]), int(numbers[0]) + len(numbers))
    return around if np.array_equal(numbers, np.arange(around.start, around.stop)) else upload(numbers, device)


def _some(tensor: torch.Tensor, which: Some) -> torch.Tensor:
    """A view of neighbours, a copy of others."""
    return tensor[which] if isinstance(which, slice) else tensor.index_select(0, which)
