"""Attention of a ragged batch: one stream of tokens without padding, each row reading its own blocks of the KV cache.

Registered with transformers under NAME, so models stay untouched; what the engine knows of a forward reaches it as
`ragged=`. Grouped query heads are never expanded: the queries of a group stand beside each other over one key head.
Sliding windows, soft caps and attention sinks are honoured; arguments beyond these are refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from transformers import AttentionInterface

from relabel.engine.runner.decode_attention import DecodeAttention, plan_decode_attention
from relabel.engine.runner.draft_attention import DraftAttentions, plan_draft_attention
from relabel.engine.runner.flash import Flash, Span, Spans, plan_spans
from relabel.engine.runner.kv_cache import KVCache, Places
from relabel.engine.runner.prefill_attention import PrefillAttention, PrefillGroup, plan_prefill_attention
from relabel.engine.runner.softmax import Softmax
from relabel.errors import ModelRefused

NAME = "relabel_ragged"
HARMLESS = frozenset({"position_ids", "is_causal", "return_dict"})
"""Arguments that some models pass along and that change nothing here, besides all that are off."""


class Layer(Protocol):
    """The attention module of one layer."""

    layer_idx: int


@dataclass(slots=True, kw_only=True)
class Ragged:
    """What the attention of every layer must know of one forward.

    The stream holds decoded tokens, then those of rows with drafts, then chunks.
    """

    kv_cache: KVCache
    places: Places
    """Of all tokens of the stream."""
    decode_slots: tuple[int, ...]
    decode_positions: tuple[int, ...]
    """Of the decoded rows, as on the device at the head of the stream."""
    drafted: Sequence[Span]
    """Rows with drafts, and where these are few all others: their newest tokens and what was drafted."""
    prefill_groups: Sequence[PrefillGroup]
    flash: Flash | None
    """The kernel of the device, for the layers that it can take."""
    _decode_attention: dict[int | None, DecodeAttention] = field(default_factory=dict)
    """By window; made by the first layer that has it."""
    _draft_attention: dict[int | None, DraftAttentions] = field(default_factory=dict)
    of_graph: Spans | None = None
    """The rows of a CUDA graph, of which the host knows no number: only the flash kernel will do."""
    _prefill_attention: dict[int | None, list[PrefillAttention]] = field(default_factory=dict)
    """These, too, are made by the first layer that needs them."""
    _spans: list[Spans] = field(default_factory=list)

    def decode_attention(self, window: int | None) -> DecodeAttention:
        """What the decoded rows read."""
        if window not in self._decode_attention:
            self._decode_attention[window] = plan_decode_attention(
                self.kv_cache, self.decode_slots, self.decode_positions, window
            )
        return self._decode_attention[window]

    def draft_attention(self, window: int | None) -> DraftAttentions:
        """What the rows with drafts read."""
        if window not in self._draft_attention:
            slots, positions, ends = zip(*self.drafted, strict=True)
            lengths = [end - position for position, end in zip(positions, ends, strict=True)]
            self._draft_attention[window] = plan_draft_attention(self.kv_cache, slots, positions, lengths, window)
        return self._draft_attention[window]

    def prefill_attention(self, window: int | None) -> Sequence[PrefillAttention]:
        """What the chunks read, group by group."""
        if window not in self._prefill_attention:
            self._prefill_attention[window] = [
                plan_prefill_attention(self.kv_cache, group, window) for group in self.prefill_groups
            ]
        return self._prefill_attention[window]

    def spans(self) -> Sequence[Spans]:
        """The decoded rows, then the chunks, as the flash kernel takes them."""
        if self.of_graph is not None:
            return [self.of_graph]
        if not self._spans:
            decoded = [
                Span(slot, end, end + 1) for slot, end in zip(self.decode_slots, self.decode_positions, strict=True)
            ]
            chunks = [
                Span(slot, own.start, own.start + length)
                for own in self.prefill_groups
                for slot, length in zip(own.slots, own.lengths, strict=True)
            ]
            for first, spans in ((0, decoded), (len(decoded), [*self.drafted, *chunks])):
                if spans:
                    self._spans.append(plan_spans(first, spans, self.kv_cache))
        return self._spans


def ragged_attention(
    module: Layer,
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
    **others: object,
) -> tuple[torch.Tensor, None]:
    """Queries [1, heads, T, head size] and keys, values [1, kv heads, T, head size] to [1, T, heads, head size]."""
    strange = [name for name, value in others.items() if not (value is None or value is False or name in HARMLESS)]
    if attention_mask is not None or strange:
        raise ModelRefused(f"attention with {strange[0] if strange else 'a mask of its own'} cannot be packed")
    window = sliding_window if sliding_window and sliding_window < ragged.kv_cache.most_tokens else None
    scale = scaling if scaling is not None else query.shape[-1] ** -0.5
    softmax, layer = Softmax(scale=scale, softcap=softcap, sinks=s_aux), module.layer_idx
    flash = ragged.flash if ragged.flash is not None and ragged.flash.can_take(query, value, softmax) else None
    new_THD = (key[0].transpose(0, 1), value[0].transpose(0, 1))
    ragged.kv_cache.write(layer, ragged.places, *new_THD, is_by_token=flash is not None)
    parts: list[torch.Tensor] = []
    if flash is not None:
        q_THD, kv_cache = query[0].transpose(0, 1), ragged.kv_cache
        parts.extend(spans.attend(flash.kernel, kv_cache, layer, q_THD, window, softmax) for spans in ragged.spans())
        return _joined(parts), None
    if ragged.decode_slots:
        q_HND = query[0, :, : len(ragged.decode_slots)]
        q_NHGD = q_HND.transpose(0, 1).unflatten(1, (key.shape[1], -1))
        parts.append(ragged.decode_attention(window).attend(ragged.kv_cache, layer, q_NHGD, softmax).flatten(1, 2))
    if ragged.drafted:
        first = len(ragged.decode_slots)
        last = first + sum(span.end - span.start for span in ragged.drafted)
        q_THD = query[0, :, first:last].transpose(0, 1)
        parts.append(ragged.draft_attention(window).attend(ragged.kv_cache, layer, q_THD, key.shape[1], softmax))
    own = (query[0], key[0], value[0])
    parts.extend(group.attend(ragged.kv_cache, layer, own, softmax) for group in ragged.prefill_attention(window))
    return _joined(parts), None


AttentionInterface.register(NAME, ragged_attention)


def _joined(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    return (parts[0] if len(parts) == 1 else torch.cat(list(parts)))[None]
