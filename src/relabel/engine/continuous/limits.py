"""How much the continuous engine may hold, weights being in place: what is free, less what a forward takes.

Knows nothing of rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from relabel.engine.api.request import Request
from relabel.engine.model.gpu_share import gpu_bytes_left
from relabel.engine.model.sizes import CUDA_ROWS, FREE_FRACTION, free_bytes, kv_bytes, max_tokens, token_bytes
from relabel.engine.runner.cuda_graphs import BUCKETS
from relabel.engine.runner.forward import Forward, RaggedAttention
from relabel.engine.scheduling.step import Layout, Limits, PrefillChunk, Step

if TYPE_CHECKING:
    from transformers import PreTrainedModel

CPU_SLOTS = 192
"""Rows at once of the continuous engine: on one core 12 % faster than 64, and as fast as 384 (1,024 rows, bfloat16)."""
CPU_STEP_TOKENS, CUDA_STEP_TOKENS = 1024, 8192
"""Tokens of one forward of the continuous engine."""


def measured_limits(model: PreTrainedModel, kv_memory: int | None = None) -> Limits:
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
        peak = _peak_bytes(model, step_tokens)
        torch.cuda.empty_cache()  # what the allocator holds back is not free
        left = int((gpu_bytes_left(model.device) - logits - peak) * 0.9)
    kv_tokens = max(1, (kv_memory if kv_memory is not None else left) // per_token)
    kv_tokens = min(kv_tokens, num_slots * max_tokens(model))  # no more than rows could fill
    return Limits(kv_tokens=kv_tokens, num_slots=num_slots, step_tokens=step_tokens)


@torch.inference_mode()
def _peak_bytes(model: PreTrainedModel, step_tokens: int) -> int:
    """What a forward of prompts, as large as any will be, takes beside the weights, with its keys and values."""
    length = min(step_tokens, max_tokens(model), 1024)
    rows = range(step_tokens // length)
    forward = Forward(model)
    forward.lay_out(Layout.of_rows(len(rows), length, forward.block_tokens))
    chunks = tuple(PrefillChunk(row, row, 0, length, is_last=True) for row in rows)
    requests = {row: Request(id=row, prompt_ids=[0] * length) for row in rows}
    torch.cuda.reset_peak_memory_stats(model.device)
    before = torch.cuda.memory_allocated(model.device)
    with RaggedAttention(model):
        forward.run(Step((), chunks), requests)
    return torch.cuda.max_memory_allocated(model.device) - before
