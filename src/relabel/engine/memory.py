"""How much one batch may hold at the start: from the memory that is free and the shape of the model.

An estimate only; the budget corrects it when a batch does not fit. Knows nothing of rows.
"""

from __future__ import annotations

from typing import Any

import torch

CPU_TOKENS = 16_384
CPU_ROWS = 64
"""A row costs no less in larger batches (measured with 16 to 128 rows of the benchmark), but padding grows."""
CUDA_ROWS = 512
FREE_FRACTION = 0.6
"""The rest is for attention masks, fragments of the allocator and vision towers, which no figure here counts."""


def first_bounds(model: Any, device: torch.device) -> tuple[int, int]:
    """Padded tokens and rows of the first batches."""
    if device.type != "cuda":
        return CPU_TOKENS, CPU_ROWS
    free = int(torch.cuda.mem_get_info(device)[0] * FREE_FRACTION)
    text = model.config.get_text_config(decoder=True)
    # logits leave the model in its own type and are copied to float32; sampling makes about four more such copies
    max_rows = max(1, min(CUDA_ROWS, free // 4 // (text.vocab_size * 4 * 6)))
    return max(1, free // token_bytes(text, model.dtype.itemsize)), max_rows


def token_bytes(text: Any, item_bytes: int) -> int:
    """Bytes of one token at the widest moment: its keys and values, and one layer's activations in the prefill."""
    num_heads = getattr(text, "num_attention_heads", None) or 1  # state-space models have none
    head_dim = getattr(text, "head_dim", None) or text.hidden_size // num_heads
    num_kv_heads = getattr(text, "num_key_value_heads", None) or num_heads
    kv = 2 * text.num_hidden_layers * num_kv_heads * head_dim
    inner = getattr(text, "intermediate_size", None) or 4 * text.hidden_size
    activations = 8 * text.hidden_size + 3 * (max(inner) if isinstance(inner, list | tuple) else inner)
    return (kv + activations) * item_bytes
