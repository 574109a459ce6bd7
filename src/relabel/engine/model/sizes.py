"""How much one batch may hold at the start: from the memory that is free and the shape of the model.

An estimate only; the budget corrects it when a batch does not fit. Knows nothing of rows.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

CUDA_ROWS = 512
FREE_FRACTION = 0.6
"""The rest is for attention masks, fragments of the allocator and vision towers, which no figure here counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSize:
    """What a model multiplies with, and what it keeps. Bytes are of its number type."""

    body: int
    """Weights of all linear layers but the head; of a mixture of experts those of every expert."""
    head: int
    """Weights of the layer that makes logits."""
    weight_bytes: int
    """All weights."""
    kv_bytes: int
    """Of one token's keys and values."""
    activation_bytes: int
    """Of one token at the widest moment of a forward."""
    vocabulary: int
    item_bytes: int
    """Of one number."""


def free_bytes() -> int:
    """Memory of this machine that can be had: what is free, and caches of files that would give way."""
    try:
        lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines())
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def max_tokens(model: PreTrainedModel) -> int:
    """Positions that a model was made for; a row's prompt and text must fit into them."""
    return getattr(model.config.get_text_config(decoder=True), "max_position_embeddings", None) or 2**62


def bounds_of(model: PreTrainedModel) -> dict[str, int]:
    """What a request must keep within, as `unfit` takes it."""
    known = getattr(
        model.get_input_embeddings(), "num_embeddings", model.config.get_text_config(decoder=True).vocab_size
    )
    # some models keep the place of an image beyond their vocabulary and never look it up
    image_token = getattr(model.config, "image_token_id", None) or 0
    return {"max_tokens": max_tokens(model), "num_embeddings": max(known, image_token + 1)}


def token_bytes(text: PreTrainedConfig, item_bytes: int) -> int:
    """Bytes of one token at the widest moment: its keys and values, and one layer's activations in the prefill."""
    inner = getattr(text, "intermediate_size", None) or 4 * text.hidden_size
    activations = 8 * text.hidden_size + 3 * (max(inner) if isinstance(inner, list | tuple) else inner)
    return kv_bytes(text, item_bytes) + activations * item_bytes


def kv_bytes(text: PreTrainedConfig, item_bytes: int) -> int:
    """Bytes of the keys and values of one token in all layers."""
    num_heads = getattr(text, "num_attention_heads", None) or 1  # state-space models have none
    head_dim = getattr(text, "head_dim", None) or text.hidden_size // num_heads
    return (
        2 * text.num_hidden_layers * (getattr(text, "num_key_value_heads", None) or num_heads) * head_dim * item_bytes
    )
