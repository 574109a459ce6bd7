"""Attention of pieces of prompts: those that begin at the same position attend together, the shorter ones padded.

A group whose scores are few is two matrix products on a CPU: torch's fused kernel goes over rows and heads one by one,
which takes 2.4 times as long there (AMD EPYC, bfloat16, heads of 64; in float32 as long). Knows where tokens stand in
the stream and in slots; nothing of rows or requests.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from relabel.engine.model.upload import upload
from relabel.engine.runner.kv_cache import KVCache
from relabel.engine.runner.softmax import Softmax, bias_of
from relabel.engine.scheduling.step import PrefillChunk

PADDED = 2
"""Pieces attend together while at least one in so many of their scores is needed: apart, each costs its own calls."""
FEW_SCORES = 2**19
"""2 MiB of float32: memory for more comes from the system anew each time, and that takes longer than the products."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefillGroup:
    """Chunks from the same position on, side by side in the stream, the shortest first."""

    first: int
    """Index of the first token in the stream."""
    slots: tuple[int, ...]
    start: int
    lengths: tuple[int, ...]

    @property
    def num_tokens(self) -> int:
        return sum(self.lengths)


def by_shape(chunk: PrefillChunk) -> tuple[int, int]:
    """The order of chunks in the stream."""
    return chunk.start, chunk.end


def group_chunks(chunks: Sequence[PrefillChunk], first: int) -> list[PrefillGroup]:
    """Chunks in the order of `by_shape`, of which the first token is at `first` in the stream."""
    groups: list[PrefillGroup] = []
    for start, same in itertools.groupby(chunks, key=lambda chunk: chunk.start):
        group: list[PrefillChunk] = []
        needed = 0
        for chunk in same:
            length = chunk.end - start
            needed += length * length
            if group and (len(group) + 1) * length * length > PADDED * needed:
                groups.append(_group(group, first))
                first += groups[-1].num_tokens
                group, needed = [], length * length
            group.append(chunk)
        groups.append(_group(group, first))
        first += groups[-1].num_tokens
    return groups


def _group(chunks: Sequence[PrefillChunk], first: int) -> PrefillGroup:
    slots, lengths = zip(*((chunk.slot, chunk.end - chunk.start) for chunk in chunks), strict=True)
    return PrefillGroup(first=first, slots=slots, start=chunks[0].start, lengths=lengths)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefillAttention:
    """What a group reads, the same in all layers with one window."""

    group: PrefillGroup
    tokens_BL: torch.Tensor | None
    """Of each row as one list, counted from the first of the group; where they are of one length, None."""
    back_T: torch.Tensor | None
    """Where each token stands in that list."""
    slots_B: torch.Tensor
    bias_LW: torch.Tensor
    is_causal: bool
    """Whether each token sees all that are before it in the group, and nothing else is there."""

    def attend(
        self,
        kv_cache: KVCache,
        layer: int,
        qkv: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
        softmax: Softmax,
    ) -> torch.Tensor:
        """[tokens, heads, head size] from the queries, keys and values [heads, T, head size] of the whole stream."""
        q_BHLD, k_BHWD, v_BHWD = map(self._padded, qkv)
        if self.group.start:
            old_k, old_v = kv_cache.read(layer, self.slots_B, self.group.start)
            k_BHWD, v_BHWD = torch.cat([old_k, k_BHWD], dim=2), torch.cat([old_v, v_BHWD], dim=2)
        num_scores = q_BHLD.shape[1] * self.bias_LW.numel()
        if softmax.is_plain and (q_BHLD.device.type != "cpu" or num_scores > FEW_SCORES):
            out_BHLD = self._fused(q_BHLD, k_BHWD, v_BHWD, softmax)
        else:
            at_once = max(1, FEW_SCORES // num_scores) if q_BHLD.device.type == "cpu" else len(q_BHLD)
            q_parts, k_parts, v_parts = (each.split(at_once) for each in (q_BHLD, k_BHWD, v_BHWD))
            parts = zip(q_parts, k_parts, v_parts, strict=True)
            out_BHLD = torch.cat([self._by_products(q, k, v, softmax) for q, k, v in parts])
        out_TD = out_BHLD.transpose(1, 2).flatten(0, 1)
        return out_TD if self.back_T is None else out_TD.index_select(0, self.back_T)

    def _padded(self, stream_HTD: torch.Tensor) -> torch.Tensor:
        group = self.group
        own_HTD = stream_HTD[:, group.first : group.first + group.num_tokens]
        if self.tokens_BL is not None:
            own_HTD = own_HTD.index_select(1, self.tokens_BL)
        return own_HTD.unflatten(1, (len(group.slots), -1)).transpose(0, 1)

    def _fused(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, softmax: Softmax) -> torch.Tensor:
        if self.is_causal:
            return F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=softmax.scale, enable_gqa=True)
        q_BHGD, bias = self._by_key_head(q, k)
        out = F.scaled_dot_product_attention(q_BHGD, k, v, attn_mask=bias.to(q.dtype), scale=softmax.scale)
        return out.reshape(*q.shape[:3], v.shape[-1])

    def _by_products(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, softmax: Softmax) -> torch.Tensor:
        q_BHGD, bias = self._by_key_head(q, k)
        weights = softmax(torch.matmul(q_BHGD, k.transpose(2, 3)).float(), bias, q.shape[2])
        return torch.matmul(weights.to(v.dtype), v).reshape(*q.shape[:3], v.shape[-1])

    def _by_key_head(self, q_BHLD: torch.Tensor, k_BHWD: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The queries of a group of heads beside each other over their key head, and the bias of all of them."""
        groups = q_BHLD.shape[1] // k_BHWD.shape[1]
        return q_BHLD.unflatten(1, (k_BHWD.shape[1], groups)).flatten(2, 3), self.bias_LW.repeat(groups, 1)


def plan_prefill_attention(kv_cache: KVCache, group: PrefillGroup, window: int | None) -> PrefillAttention:
    """What all layers with this window need to know of a group."""
    device, length = kv_cache.tables_SN.device, group.lengths[-1]
    width = group.start + length
    tokens_BL = back_T = None
    if group.lengths[0] < length:
        lengths_B = np.asarray(group.lengths)
        firsts_B, nth_L, lasts_B = np.cumsum(lengths_B) - lengths_B, np.arange(length), lengths_B[:, None] - 1
        is_token_BL = nth_L <= lasts_B
        # behind its last token a row has that one again: none of its own sees it, and no other row's NaN is met
        tokens_BL = upload((firsts_B[:, None] + np.minimum(nth_L, lasts_B)).ravel(), device)
        back_T = upload(np.flatnonzero(is_token_BL.ravel()), device)
    positions_W = torch.arange(width, device=device)
    return PrefillAttention(
        group=group,
        tokens_BL=tokens_BL,
        back_T=back_T,
        slots_B=upload(group.slots, device, torch.long),
        bias_LW=bias_of(positions_W[group.start :], positions_W, window),
        is_causal=group.start == 0 and (window is None or window >= width),
    )
