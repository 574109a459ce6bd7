"""Whether a model and the keys and values of its rows fit into a card, and how many rows at once. Plain integers.

The same sums as the engine makes once the weights are in place; what it measures there is estimated here.
"""

from __future__ import annotations

from relabel.engine.model.sizes import CUDA_ROWS, ModelSize
from relabel.engine.scheduling.step import Limits

CUDA_STEP_TOKENS = 8192
"""Of one forward of relabel's own engine on a GPU, as `engine/continuous/limits.py` has it, which imports torch."""
LOGITS_COPIES = 6
"""Of all rows in float32: to choose from, and what graphs keep."""
FREE = 0.9
"""The share of what weights and activations leave that becomes keys and values."""
CONTEXT_BYTES = 10**9
"""What CUDA itself takes of a card, with the kernels of torch."""
VLLM_ROWS = 256
"""Rows in one step of vLLM, by its default on most cards."""
CUDA_BLOCK_TOKENS = 256
"""Of relabel's own blocks of keys and values there, as `engine/runner/flash.py` has it, which imports torch, too."""


def memory_limits(size: ModelSize, memory: float, *, kv_memory: int | None = None, longest: int) -> Limits | None:
    """How much relabel's own engine may hold in so many bytes of memory; None where a row of `longest` tokens, prompt
    and text, does not fit."""
    logits = size.vocabulary * CUDA_ROWS * 4 * LOGITS_COPIES
    left = memory - CONTEXT_BYTES - size.weight_bytes - logits - CUDA_STEP_TOKENS * size.activation_bytes
    if left <= 0:
        return None
    kv_tokens = int(left * FREE if kv_memory is None else min(kv_memory, left)) // max(1, size.kv_bytes)
    if kv_tokens < longest:
        return None
    return Limits(
        kv_tokens=kv_tokens, num_slots=CUDA_ROWS, step_tokens=CUDA_STEP_TOKENS, block_tokens=CUDA_BLOCK_TOKENS
    )


def paged_limits(
    size: ModelSize, memory: float, *, kv_memory: int | None = None, longest: int, mean: float, most_rows: int | None
) -> Limits | None:
    """The same of vLLM, which takes a share of the memory and holds as much of a row as there is: so many rows of the
    mean length."""
    left = memory - size.weight_bytes - CUDA_STEP_TOKENS * size.activation_bytes
    kv_tokens = int(left if kv_memory is None else min(kv_memory, left)) // max(1, size.kv_bytes)
    if left <= 0 or kv_tokens < longest:
        return None
    num_slots = max(1, min(most_rows or VLLM_ROWS, int(kv_tokens / max(1.0, mean)), CUDA_STEP_TOKENS - 1))
    return Limits(kv_tokens=max(kv_tokens, num_slots * longest * 2), num_slots=num_slots, step_tokens=CUDA_STEP_TOKENS)


def rows_at_once(limits: Limits, tokens: float) -> int:
    """Rows that are held at a time, where one has so many tokens, prompt and text, in the mean: half a block of each is
    empty."""
    return max(1, min(limits.num_slots, int(limits.kv_tokens / (tokens + limits.block_tokens / 2))))
