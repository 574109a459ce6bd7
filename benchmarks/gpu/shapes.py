"""Workloads of equal rows, the models they are for, and what others published of them. Plain values, no clock."""

from __future__ import annotations

import random
from dataclasses import dataclass

from relabel.bench.model import LARGE, Shape

NEVER = (2**31 - 1,)
"""A stop token beyond every vocabulary: with none a row would take the model's own."""
TARGET_SECONDS, DRY_ROWS = 12.0, 6
"""A measurement shall take so long; in a dry run it has so many rows."""
TINY: Shape = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 512,
    "max_position_embeddings": 512,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Rows of one length, each with as many new tokens as it may have."""

    shared: int
    """Tokens that all prompts begin with."""
    prompt: int
    """Tokens after these."""
    new: int

    @property
    def most(self) -> int:
        """Tokens of a row at its end."""
        return self.shared + self.prompt + self.new

    def prompts(self, num_rows: int, vocab_size: int, seed: int = 0) -> list[list[int]]:
        """Random tokens; the same seed gives the same."""
        rng = random.Random(seed)
        shared = [rng.randrange(4, vocab_size) for _ in range(self.shared)]
        return [shared + [rng.randrange(4, vocab_size) for _ in range(self.prompt)] for _ in range(num_rows)]


def model_shape(dry: bool) -> Shape:
    """Llama-3-8B, or a tiny Llama."""
    return TINY if dry else LARGE


def workload_of(name: str, dry: bool) -> Workload:
    """`300/50`: tokens of the prompt and new ones; `512+128/128`: after 512 that all rows begin with.

    In a dry run a tenth of them, and few new ones.
    """
    shared, _, rest = name.rpartition("+")
    prompt, new = map(int, rest.split("/"))
    if dry:
        return Workload(shared=int(shared or 0) // 10, prompt=prompt // 10, new=min(16, new // 10))
    return Workload(shared=int(shared or 0), prompt=prompt, new=new)


PUBLISHED: dict[str, dict[str, float]] = {
    "128/128": {"tensorrt_llm_0_15_h100_output_tokens_per_second": 16117},
    "256/128": {"vllm_0_7_2_h100_rows_per_second": 49.0, "vllm_0_7_2_a100_rows_per_second": 24.5},
    "1024/128": {"vllm_0_7_2_h100_rows_per_second": 22.9, "vllm_0_7_2_a100_rows_per_second": 10.5},
    "256/1024": {"vllm_0_7_2_h100_rows_per_second": 7.2, "vllm_0_7_2_a100_rows_per_second": 3.5},
}
"""One GPU, 8B class, 16 bit. TensorRT-LLM: performance overview of v0.15. vLLM, over HTTP: the model card of
DeepSeek-R1-Distill-Llama-8B by Red Hat."""
PUBLISHED_IMAGES = {"vllm_0_7_2_h100_images_per_second": 3.3, "vllm_0_7_2_a100_images_per_second": 3.0}
"""Qwen2.5-VL-7B in bfloat16, 480x360, 128 new tokens."""
