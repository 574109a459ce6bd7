"""Attention over the KV cache by the flash kernel that torch carries: one call a layer for all decoded rows and one for
all chunks, each row reading its own length.

For half types on CUDA and a plain softmax. The kernel takes a table of the blocks of each row, of which `seqused_k`
tokens are valid; a block is PAGE tokens or a multiple of that. It is called through aten, as torch.nn.attention.varlen
does. Causal masks lie at the end of a row, as since FlashAttention 2.1.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch

from relabel.engine.model.upload import upload
from relabel.engine.runner.kv_cache import KVCache
from relabel.engine.runner.softmax import Softmax

MAX_HEAD_SIZE = 256
PAGE = 256
"""Tokens of a block: FlashAttention 2 takes no shorter ones."""


class FlashKernel(Protocol):
    """aten::_flash_attention_forward for keys in blocks [blocks, tokens, kv heads, head size], as torch calls it."""

    def __call__(
        self,
        q_THD: torch.Tensor,
        keys_NBHD: torch.Tensor,
        values_NBHD: torch.Tensor,
        cu_queries: torch.Tensor,
        cu_keys: torch.Tensor,
        max_queries: int,
        max_keys: int,
        dropout: float,
        is_causal: bool,
        return_debug_mask: bool,
        /,
        *,
        scale: float,
        window_size_left: int | None,
        window_size_right: int | None,
        seqused_k: torch.Tensor,
        block_table: torch.Tensor,
    ) -> tuple[torch.Tensor, ...]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Flash:
    """The kernel, and what it can be called for."""

    can_take: Callable[[torch.Tensor, torch.Tensor, Softmax], bool]
    """Whether it computes the attention of such queries and values."""
    kernel: FlashKernel


def can_take(query: torch.Tensor, value: torch.Tensor, softmax: Softmax) -> bool:
    """Whether the kernel computes such an attention; heads of odd or two sizes, soft caps and sinks are not for it."""
    head_size, is_half = query.shape[-1], query.dtype in (torch.bfloat16, torch.float16)
    is_size = head_size % 8 == 0 and head_size <= MAX_HEAD_SIZE and head_size == value.shape[-1]
    return query.is_cuda and is_half and is_size and softmax.is_plain


FLASH = Flash(can_take=can_take, kernel=torch.ops.aten._flash_attention_forward)


def is_new_enough(device: torch.device) -> bool:
    """The kernel is made for Ampere and what came after it."""
    return torch.cuda.get_device_capability(device) >= (8, 0)


class Span(NamedTuple):
    """Positions `start` to `end` of the row in a slot are computed."""

    slot: int
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Spans:
    """Rows side by side in the stream, the same in all layers; their blocks may lie in any order."""

    first: int
    last: int
    """In the stream, in tokens."""
    cu_queries: torch.Tensor
    """[rows + 1] of int32: where each row's tokens begin, counted from `first`."""
    tables: torch.Tensor
    """[rows, blocks] of int32: the blocks of each row; what stands behind its last one means nothing."""
    used: torch.Tensor
    """[rows] of int32: how many tokens it holds, the new ones included."""
    max_queries: int
    max_keys: int

    def attend(
        self,
        kernel: FlashKernel,
        kv_cache: KVCache,
        layer: int,
        q_THD: torch.Tensor,
        window: int | None,
        softmax: Softmax,
    ) -> torch.Tensor:
        """[tokens of the spans, heads, head size] from the queries of the whole stream.

        Without a window its right edge is left open: the kernel then packs the query heads of a group when it decodes.
        """
        keys_NBHD, values_NBHD = (kept[layer].transpose(1, 2) for kept in (kv_cache.keys, kv_cache.values))
        return kernel(
            q_THD[self.first : self.last],
            keys_NBHD,
            values_NBHD,
            self.cu_queries,
            self.cu_queries,  # of the right shape: where there is a table, nobody looks where keys begin in a list
            self.max_queries,
            self.max_keys,
            0.0,
            True,
            False,
            scale=softmax.scale,
            window_size_left=None if window is None else window - 1,
            window_size_right=None if window is None else 0,
            seqused_k=self.used,
            block_table=self.tables,
        )[0]


def spans_of_decoded(slots_B: torch.Tensor, positions_B: torch.Tensor, kv_cache: KVCache) -> Spans:
    """For one token a row, from tables of the device: the host knows no number in them."""
    return Spans(
        first=0,
        last=len(slots_B),
        cu_queries=torch.arange(len(slots_B) + 1, dtype=torch.int32, device=slots_B.device),
        tables=kv_cache.tables_SN[slots_B],
        used=(positions_B + 1).int(),
        max_queries=1,
        max_keys=kv_cache.most_tokens,
    )


def plan_spans(first: int, rows: Sequence[Span], kv_cache: KVCache) -> Spans:
    """For rows side by side; the first token of the first one is at `first` in the stream."""
    ends = [row.end for row in rows]
    lengths = [row.end - row.start for row in rows]
    queries = [0, *itertools.accumulate(lengths)]
    numbers = upload([*queries, *ends], kv_cache.tables_SN.device, torch.int32)
    cu_queries, used = numbers.split([len(queries), len(ends)])
    width = kv_cache.num_blocks(max(ends))
    return Spans(
        first=first,
        last=first + queries[-1],
        cu_queries=cu_queries,
        tables=upload(kv_cache.host_tables_SN[[row.slot for row in rows], :width], kv_cache.tables_SN.device),
        used=used,
        max_queries=max(lengths),
        max_keys=max(ends),
    )
