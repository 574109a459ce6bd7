"""Attention over the KV cache by the flash kernel that torch carries: one call a layer for all decoded rows and one for
all chunks, each row reading its own length.

For half types on CUDA and a plain softmax. The kernel takes rows as spans of one long list of keys; a slot is such a
span, of which `seqused_k` tokens are valid. It is called through aten, as torch.nn.attention.varlen does: the public
function of torch 2.11 does not pass `seqused_k` on. Causal masks lie at the end of a span, as since FlashAttention 2.1.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch

from relabel.engine.model.upload import upload
from relabel.engine.runner.kv_cache import BLOCK, KVCache
from relabel.engine.runner.softmax import Softmax

MAX_HEAD_SIZE = 256


class FlashKernel(Protocol):
    """aten::_flash_attention_forward for keys in one long list, as torch calls it."""

    def __call__(
        self,
        q_THD: torch.Tensor,
        keys_KHD: torch.Tensor,
        values_KHD: torch.Tensor,
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
    """Rows side by side in the stream, the same in all layers; their slots may lie in any order."""

    first: int
    last: int
    """In the stream, in tokens."""
    cu_queries: torch.Tensor
    """[rows + 1] of int32: where each row's tokens begin, counted from `first`."""
    cu_keys: torch.Tensor
    """[rows + 1] of int32: where each row's slot begins. Their differences mean nothing where `used` is given."""
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
        keys_KHD, values_KHD = (_as_list(kept[layer]) for kept in (kv_cache.keys, kv_cache.values))
        return kernel(
            q_THD[self.first : self.last],
            keys_KHD,
            values_KHD,
            self.cu_queries,
            self.cu_keys,
            self.max_queries,
            self.max_keys,
            0.0,
            True,
            False,
            scale=softmax.scale,
            window_size_left=None if window is None else window - 1,
            window_size_right=None if window is None else 0,
            seqused_k=self.used,
        )[0]


def spans_of_decoded(slots_B: torch.Tensor, positions_B: torch.Tensor, slot_tokens: int) -> Spans:
    """For one token a row, from tables of the device: the host knows no number in them."""
    room = _room(slot_tokens)
    starts_B = slots_B * room
    return Spans(
        first=0,
        last=len(slots_B),
        cu_queries=torch.arange(len(slots_B) + 1, dtype=torch.int32, device=slots_B.device),
        cu_keys=torch.cat([starts_B, starts_B[-1:] + room]).int(),
        used=(positions_B + 1).int(),
        max_queries=1,
        max_keys=room,
    )


def plan_spans(first: int, rows: Sequence[Span], slot_tokens: int, device: torch.device) -> Spans:
    """For rows side by side; the first token of the first one is at `first` in the stream."""
    room = _room(slot_tokens)
    ends = [row.end for row in rows]
    lengths = [row.end - row.start for row in rows]
    queries = [0, *itertools.accumulate(lengths)]
    keys = [slot * room for slot in (*(row.slot for row in rows), rows[-1].slot + 1)]
    table = upload([*queries, *keys, *ends], device, torch.int32)
    cu_queries, cu_keys, used = table.split([len(queries), len(keys), len(ends)])
    return Spans(
        first=first,
        last=first + queries[-1],
        cu_queries=cu_queries,
        cu_keys=cu_keys,
        used=used,
        max_queries=max(lengths),
        max_keys=max(ends),
    )


def _as_list(kept: torch.Tensor) -> torch.Tensor:
    """All tokens of a cache as they lie in memory, [slots x blocks x BLOCK, kv heads, head size]: never a copy."""
    by_slot = kept.permute(1, 0, 3, 2, 4)
    return by_slot.view(-1, *by_slot.shape[3:])


def _room(slot_tokens: int) -> int:
    """Tokens of a slot in memory."""
    return -(-slot_tokens // BLOCK) * BLOCK
