"""Attention of a ragged batch: one stream of tokens without padding, each row reading its own slot of the KV cache.

Registered with transformers under NAME, so models stay untouched; what the engine knows of a forward reaches it as
`ragged=`. Grouped query heads are never expanded: the queries of a group stand beside each other over one key head.
Sliding windows, soft caps and attention sinks are honoured; arguments beyond these are refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from transformers import AttentionInterface

from relabel.engine.slots import Slots
from relabel.errors import ModelRefused

NAME = "relabel_ragged"
HARMLESS = frozenset({"position_ids", "is_causal", "return_dict"})
"""Arguments that some models pass along and that change nothing here, besides all that are off."""
DENSE = 2
"""Decoded rows read all slots up to the highest in use as one view while at least one in so many of these is decoded;
below that copying their slots costs less than attending for the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pieces:
    """Chunks of equal start and length, side by side in the stream."""

    first: int
    """Index of the first token in the stream."""
    slots: tuple[int, ...]
    start: int
    length: int


@dataclass(slots=True, kw_only=True)
class Ragged:
    """What the attention of every layer must know of one forward. The stream holds decoded tokens, then chunks."""

    slots: Slots
    slots_T: torch.Tensor
    positions_T: torch.Tensor
    live_slots: tuple[int, ...]
    live_width: int
    """Tokens that the longest decoded row reads, the new one included."""
    pieces: Sequence[Pieces]
    _masks: dict[Any, torch.Tensor] = field(default_factory=dict)
    """Made by the first layer that needs them."""


def ragged_attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    *,
    ragged: Ragged,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: torch.Tensor | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """Queries [1, heads, T, head size] and keys, values [1, kv heads, T, head size] to [1, T, heads, head size]."""
    strange = [name for name, value in others.items() if not (value is None or value is False or name in HARMLESS)]
    if attention_mask is not None or strange:
        raise ModelRefused(f"attention with {strange[0] if strange else 'a mask of its own'} cannot be packed")
    window = sliding_window if sliding_window and sliding_window < ragged.slots.layout.slot_tokens else None
    scale = scaling if scaling is not None else query.shape[-1] ** -0.5
    ragged.slots.write(
        module.layer_idx, ragged.slots_T, ragged.positions_T, key[0].transpose(0, 1), value[0].transpose(0, 1)
    )
    kernel = _Kernel(scale=scale, softcap=softcap, sinks=s_aux)
    parts = []
    if ragged.live_slots:
        parts.append(_decode(ragged, module.layer_idx, query[0, :, : len(ragged.live_slots)], window, kernel))
    for pieces in ragged.pieces:
        last = pieces.first + len(pieces.slots) * pieces.length
        q, k, v = (tensor[0, :, pieces.first : last] for tensor in (query, key, value))
        parts.append(_prefill(ragged, module.layer_idx, pieces, (q, k, v), window, kernel))
    return (parts[0] if len(parts) == 1 else torch.cat(parts))[None], None


AttentionInterface.register(NAME, ragged_attention)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kernel:
    """softmax(q k^T) v for grouped heads, with what models add to it."""

    scale: float
    softcap: float | None
    sinks: torch.Tensor | None
    """[heads]: one more logit a head, which takes its share and has no value."""

    def __call__(
        self, q_BHGD: torch.Tensor, k_BHWD: torch.Tensor, v_BHWD: torch.Tensor, bias: torch.Tensor, num_queries: int
    ) -> torch.Tensor:
        """G is groups x queries. `bias` is 0 or -inf and broadcasts to [B, H, G, W]."""
        if self.softcap is None and self.sinks is None:
            return F.scaled_dot_product_attention(q_BHGD, k_BHWD, v_BHWD, attn_mask=bias, scale=self.scale)
        scores = torch.matmul(q_BHGD, k_BHWD.transpose(2, 3)).float() * self.scale
        if self.softcap is not None:
            scores = torch.tanh(scores / self.softcap) * self.softcap
        scores = scores + bias
        if self.sinks is not None:
            num_kv_heads = q_BHGD.shape[1]
            sinks = self.sinks.float().view(1, num_kv_heads, -1, 1).repeat_interleave(num_queries, dim=2)
            scores = torch.cat([scores, sinks.expand(len(q_BHGD), -1, -1, -1)], dim=-1)
        weights = scores.softmax(-1).to(v_BHWD.dtype)
        return torch.matmul(weights[..., : v_BHWD.shape[2]], v_BHWD)


def _decode(ragged: Ragged, layer: int, q_HND: torch.Tensor, window: int | None, kernel: _Kernel) -> torch.Tensor:
    """One token a row: [N, heads, head size]."""
    num_heads, num_rows, head_size = q_HND.shape
    num_slots = max(ragged.live_slots) + 1
    is_dense = num_slots <= DENSE * num_rows
    is_scattered = is_dense and ragged.live_slots != tuple(range(num_rows))
    rows_N = ragged.slots_T[:num_rows]
    keys, values = ragged.slots.read(layer, slice(0, num_slots) if is_dense else rows_N, ragged.live_width)
    q_NGD = q_HND.transpose(0, 1).reshape(num_rows, keys.shape[1], -1, head_size)
    if is_scattered:
        q_NGD = q_NGD.new_zeros(num_slots, *q_NGD.shape[1:]).index_copy_(0, rows_N, q_NGD)
    name = ("live", window)
    if name not in ragged._masks:
        ends_N = ragged.positions_T[:num_rows]
        if is_dense:
            ends_N = ends_N.new_zeros(num_slots).index_copy_(0, rows_N, ends_N)
        ragged._masks[name] = _bias(ends_N[:, None], ragged.live_width, window, q_HND.dtype)[:, None]
    out = kernel(q_NGD, keys, values, ragged._masks[name], 1)
    if is_scattered:
        out = out[rows_N]
    return out.reshape(num_rows, num_heads, values.shape[-1])


def _prefill(
    ragged: Ragged,
    layer: int,
    pieces: Pieces,
    qkv: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    window: int | None,
    kernel: _Kernel,
) -> torch.Tensor:
    """Chunks of one shape: [chunks x length, heads, head size]."""
    num_rows, length = len(pieces.slots), pieces.length
    q, k, v = (tensor.unflatten(1, (num_rows, length)).transpose(0, 1) for tensor in qkv)
    num_heads, num_kv_heads, head_size = q.shape[1], k.shape[1], q.shape[-1]
    width = pieces.start + length
    is_plain = kernel.softcap is None and kernel.sinks is None and (window is None or window >= width)
    if is_plain and pieces.start == 0:
        out = F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=kernel.scale, enable_gqa=True)
        return out.transpose(1, 2).reshape(num_rows * length, num_heads, v.shape[-1])
    if pieces.start:
        k, v = ragged.slots.read(layer, torch.tensor(pieces.slots, device=q.device), width)
    groups = num_heads // num_kv_heads
    name = (pieces.start, length, window)
    if name not in ragged._masks:
        ends_L = torch.arange(pieces.start, width, device=q.device)
        ragged._masks[name] = _bias(ends_L, width, window, q.dtype).repeat(groups, 1)
    q_BHGD = q.reshape(num_rows, num_kv_heads, groups * length, head_size)
    out = kernel(q_BHGD, k, v, ragged._masks[name], length).reshape(num_rows, num_heads, length, v.shape[-1])
    return out.transpose(1, 2).reshape(num_rows * length, num_heads, v.shape[-1])


def _bias(ends: torch.Tensor, width: int, window: int | None, dtype: torch.dtype) -> torch.Tensor:
    """[..., width]: 0 where a query at position `ends` sees a key, -inf elsewhere."""
    keys_W = torch.arange(width, device=ends.device)
    sees = keys_W <= ends[..., None]
    if window is not None:
        sees &= keys_W > ends[..., None] - window
    return torch.zeros(sees.shape, dtype=dtype, device=ends.device).masked_fill_(~sees, -torch.inf)
