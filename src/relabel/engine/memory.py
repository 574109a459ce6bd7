"""How much one batch may hold at the start: from the memory that is free and the shape of the model.

An estimate only; the budget corrects it when a batch does not fit. Knows nothing of rows.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from relabel.engine.forward import Forward, RaggedAttention
from relabel.engine.graphs import BUCKETS
from relabel.engine.request import Request
from relabel.engine.step import Chunk, Layout, Limits, Step

CPU_TOKENS = 16_384
CPU_ROWS = 64
"""A row costs no less in larger batches (measured with 16 to 128 rows of the benchmark), but padding grows."""
CPU_SLOTS = 192
"""Rows at once of the continuous engine: on one core 12 % faster than 64, and as fast as 384 (1,024 rows, bfloat16)."""
CUDA_ROWS = 512
CPU_STEP_TOKENS, CUDA_STEP_TOKENS = 1024, 8192
"""Tokens of one forward of the continuous engine."""
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


def measured_limits(model: Any, kv_memory: int | None = None) -> Limits:
    """How much the continuous engine may hold, weights being in place: what is free, less what a forward takes.

    `kv_memory` is bytes of keys and values, where they are given.
    """
    text = model.config.get_text_config(decoder=True)
    per_token = kv_bytes(text, model.dtype.itemsize)
    if model.device.type != "cuda":
        step_tokens, num_slots = CPU_STEP_TOKENS, CPU_SLOTS
        left = int(free_bytes() * FREE_FRACTION) - step_tokens * token_bytes(text, model.dtype.itemsize)
    else:
        step_tokens, num_slots = CUDA_STEP_TOKENS, CUDA_ROWS
        # logits of all rows, float32 copies of them to choose from, and those that each graph keeps for itself
        logits = text.vocab_size * (num_slots * 4 * 6 + sum(BUCKETS) * model.dtype.itemsize)
        left = int((torch.cuda.mem_get_info(model.device)[0] - logits - _peak_bytes(model, step_tokens)) * 0.9)
    kv_tokens = max(1, (kv_memory if kv_memory is not None else left) // per_token)
    return Limits(kv_tokens=kv_tokens, num_slots=num_slots, step_tokens=step_tokens)


@torch.inference_mode()
def _peak_bytes(model: Any, step_tokens: int) -> int:
    """What a forward of prompts, as large as any will be, takes beside the weights, with its keys and values."""
    length = min(step_tokens, max_tokens(model), 1024)
    rows = range(step_tokens // length)
    forward = Forward(model)
    forward.lay_out(Layout(len(rows), length))
    chunks = tuple(Chunk(row, row, 0, length, is_last=True) for row in rows)
    requests = {row: Request(id=row, prompt_ids=[0] * length) for row in rows}
    torch.cuda.reset_peak_memory_stats(model.device)
    before = torch.cuda.memory_allocated(model.device)
    with RaggedAttention(model):
        forward.run(Step((), chunks), requests)
    peak = torch.cuda.max_memory_allocated(model.device) - before
    torch.cuda.empty_cache()
    return peak


def free_bytes() -> int:
    """Memory of this machine that can be had: what is free, and caches of files that would give way."""
    try:
        lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines())
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def max_tokens(model: Any) -> int:
    """Positions that a model was made for; a row's prompt and text must fit into them."""
    return getattr(model.config.get_text_config(decoder=True), "max_position_embeddings", None) or 2**62


def bounds_of(model: Any) -> dict[str, int]:
    """What a request must keep within, as `unfit` takes it."""
    known = getattr(
        model.get_input_embeddings(), "num_embeddings", model.config.get_text_config(decoder=True).vocab_size
    )
    # some models keep the place of an image beyond their vocabulary and never look it up
    image_token = getattr(model.config, "image_token_id", None) or 0
    return {"max_tokens": max_tokens(model), "num_embeddings": max(known, image_token + 1)}


def token_bytes(text: Any, item_bytes: int) -> int:
    """Bytes of one token at the widest moment: its keys and values, and one layer's activations in the prefill."""
    inner = getattr(text, "intermediate_size", None) or 4 * text.hidden_size
    activations = 8 * text.hidden_size + 3 * (max(inner) if isinstance(inner, list | tuple) else inner)
    return kv_bytes(text, item_bytes) + activations * item_bytes


def kv_bytes(text: Any, item_bytes: int) -> int:
    """Bytes of the keys and values of one token in all layers."""
    num_heads = getattr(text, "num_attention_heads", None) or 1  # state-space models have none
    head_dim = getattr(text, "head_dim", None) or text.hidden_size // num_heads
    return (
        2 * text.num_hidden_layers * (getattr(text, "num_key_value_heads", None) or num_heads) * head_dim * item_bytes
    )
