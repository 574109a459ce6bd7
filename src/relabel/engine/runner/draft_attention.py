"""Attention of drafted tokens: those of a row attend beside its newest token, over the same keys at once.

Knows where tokens stand in the stream and in slots; nothing of where drafts come from.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from relabel.engine.model.upload import upload
from relabel.engine.runner.decode_attention import DecodeAttention, plan_decode_attention
from relabel.engine.runner.kv_cache import KVCache
from relabel.engine.runner.softmax import Softmax

FEW = 16
"""Rows that attend together whatever their drafts: another call a layer costs more than queries that nobody needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftAttention:
    """Rows with about as many tokens: as many queries each, of which the last may stand there again."""

    num_queries: int
    tokens_NQ: torch.Tensor
    """Of each row, counted from the first token of all rows with drafts; as one list."""
    reads: DecodeAttention

    def attend(
        self, kv_cache: KVCache, layer: int, q_THD: torch.Tensor, num_kv_heads: int, softmax: Softmax
    ) -> torch.Tensor:
        """[rows x queries, heads, head size] from the queries of all tokens of rows with drafts."""
        shape = (-1, self.num_queries, num_kv_heads, q_THD.shape[1] // num_kv_heads)
        q_NQHGD = q_THD.index_select(0, self.tokens_NQ).unflatten(0, shape[:2]).unflatten(2, shape[2:])
        out_NHGD = self.reads.attend(kv_cache, layer, q_NQHGD.permute(0, 2, 3, 1, 4).flatten(2, 3), softmax)
        out_NQHGD = out_NHGD.unflatten(2, (shape[3], self.num_queries)).permute(0, 3, 1, 2, 4)
        return out_NQHGD.flatten(2, 3).flatten(0, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftAttentions:
    """All rows with drafts of one forward, the same in all layers with one window."""

    groups: tuple[DraftAttention, ...]
    back_T: torch.Tensor
    """Where each token stands in what the groups give, one after the other."""

    def attend(
        self, kv_cache: KVCache, layer: int, q_THD: torch.Tensor, num_kv_heads: int, softmax: Softmax
    ) -> torch.Tensor:
        """[T, heads, head size] from their queries, of the same shape."""
        outs = [group.attend(kv_cache, layer, q_THD, num_kv_heads, softmax) for group in self.groups]
        return torch.cat(outs).index_select(0, self.back_T)


def plan_draft_attention(
    kv_cache: KVCache, slots: Sequence[int], positions: Sequence[int], lengths: Sequence[int], window: int | None
) -> DraftAttentions:
    """For rows side by side in the stream, each with so many tokens from a position of its slot on."""
    least = max(lengths) if len(lengths) <= FEW else 1
    firsts, device = np.cumsum([0, *lengths]), kv_cache.tables_SN.device
    by_width: dict[int, list[int]] = defaultdict(list)
    for row, length in enumerate(lengths):
        by_width[1 << (max(length, least) - 1).bit_length()].append(row)
    groups, back_T, num_before = [], np.empty(firsts[-1], dtype=np.int64), 0
    for width, rows in by_width.items():
        lengths_N, firsts_N = np.asarray(lengths)[rows], firsts[rows]
        nth_NQ = np.minimum(np.arange(width), lengths_N[:, None] - 1)
        ends_NQ = np.asarray(positions)[rows][:, None] + nth_NQ
        reads = plan_decode_attention(kv_cache, np.asarray(slots)[rows], ends_NQ, window)
        tokens_NQ = upload((firsts_N[:, None] + nth_NQ).ravel(), device)
        groups.append(DraftAttention(num_queries=width, tokens_NQ=tokens_NQ, reads=reads))
        for at, (first, length) in enumerate(zip(firsts_N, lengths_N, strict=True)):
            back_T[first : first + length] = num_before + at * width + np.arange(length)
        num_before += len(rows) * width
    return DraftAttentions(groups=tuple(groups), back_T=upload(back_T, device))
