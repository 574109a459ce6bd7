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
from relabel.engine.runner.kv_cache import KVCache
from relabel.engine.runner.softmax import Softmax, bias_of

DENSE = 2
"""Neighbouring blocks are read as one view while at least one in so many of these is needed; below that copying what is
needed costs less than attending for the others."""
SPARSE = 4
"""Rows attend together while at least one in so many of their scores is needed: one that is not costs a softmax, but no
product. Apart, each set of rows costs its own calls."""

Some = slice | torch.Tensor
"""Neighbours, or any of which these are the numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """The blocks of one index of the rows that reach them."""

    index: int
    blocks: Some
    at: Some
    """Places of these rows in the batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Rows that attend together."""

    num_rows: int
    rows_N: torch.Tensor | None
    """The place of each row in the batch, where that is not its own number."""
    num_places: int
    blocks: tuple[Block, ...]
    bias_P1QW: torch.Tensor
    block_tokens: int

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
            k_MHBD = _some(keys, block.blocks)
            part = torch.matmul(_some(q_PHGD, block.at), k_MHBD.transpose(2, 3))
            scores[block.at, :, :, column] = part if isinstance(block.at, slice) else part.float()
        weights = softmax(scores, bias, num_queries).to(values.dtype)
        out_PHGD = torch.zeros(*q_PHGD.shape[:3], values.shape[-1], device=q_NHGD.device)
        for column, block in self._columns():
            part = torch.matmul(weights[block.at, :, :, column], _some(values, block.blocks))
            if isinstance(block.at, slice):
                out_PHGD[block.at] += part
            else:
                out_PHGD.index_add_(0, block.at, part.float())
        out_PHGD = out_PHGD.to(values.dtype)
        return out_PHGD if self.rows_N is None else out_PHGD[self.rows_N]

    def _columns(self) -> list[tuple[slice, Block]]:
        size = self.block_tokens
        return [(slice(at * size, (at + 1) * size), block) for at, block in enumerate(self.blocks)]


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
    kv_cache: KVCache, slots: Sequence[int] | np.ndarray, ends: Sequence[int] | np.ndarray, window: int | None
) -> DecodeAttention:
    """For rows in `slots`, each with its newest token at a position `ends`, or [rows, queries] of them that rise."""
    slots_N, ends_NQ = np.asarray(slots), np.asarray(ends).reshape(len(slots), -1)
    first_N, size, device = ends_NQ[:, 0], kv_cache.layout.block_tokens, kv_cache.tables_SN.device
    starts_N = np.zeros_like(first_N) if window is None else np.maximum(first_N - window + 1, 0)
    groups = _group_rows(starts_N // size, ends_NQ[:, -1] // size)
    batches = tuple(_plan_batch(kv_cache, slots_N[rows], starts_N[rows], ends_NQ[rows], window) for rows in groups)
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
    kv_cache: KVCache, slots_N: np.ndarray, starts_N: np.ndarray, ends_NQ: np.ndarray, window: int | None
) -> Batch:
    last_N, size, device = ends_NQ[:, -1], kv_cache.layout.block_tokens, kv_cache.tables_SN.device
    num_slots = int(slots_N.max()) + 1
    is_dense = num_slots <= DENSE * len(slots_N)
    places_N = slots_N if is_dense else np.arange(len(slots_N))
    num_places = num_slots if is_dense else len(slots_N)
    has_row_P = np.zeros(num_places, dtype=bool)
    has_row_P[places_N] = True
    blocks: list[Block] = []
    for index in range(int(starts_N.min()) // size, int(last_N.max()) // size + 1):
        reach = np.flatnonzero((last_N >= index * size) & (starts_N < (index + 1) * size))
        if not len(reach):
            continue
        places_R, blocks_R = places_N[reach], kv_cache.host_tables_SN[slots_N[reach], index]
        at, around = _around(places_R), _around(blocks_R)
        # a row among them that does not reach this index has no block there, and must not meet what is in another's
        is_alone = np.count_nonzero(has_row_P[at]) == len(reach)
        is_dense = at.stop - at.start <= DENSE * len(reach)
        if is_alone and is_dense and np.all(blocks_R - places_R == around.start - at.start):
            blocks.append(Block(index=index, blocks=around, at=at))
        else:
            blocks.append(Block(index=index, blocks=_numbers(blocks_R, device), at=_numbers(places_R, device)))
    keys_W = np.concatenate([np.arange(block.index * size, (block.index + 1) * size) for block in blocks])
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
        block_tokens=size,
    )


def _around(numbers: np.ndarray) -> slice:
    return slice(int(numbers.min()), int(numbers.max()) + 1)


def _numbers(numbers: np.ndarray, device: torch.device) -> Some:
    """As a slice where they are neighbours in order."""
    around = slice(int(numbers[0]), int(numbers[0]) + len(numbers))
    return around if np.array_equal(numbers, np.arange(around.start, around.stop)) else upload(numbers, device)


def _some(tensor: torch.Tensor, which: Some) -> torch.Tensor:
    """A view of neighbours, a copy of others."""
    return tensor[which] if isinstance(which, slice) else tensor.index_select(0, which)
