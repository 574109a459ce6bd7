"""What tests of the engines begin with: families of models, many rows like a few, limits and settings."""

from __future__ import annotations

from typing import Any

import torch

from relabel.engine import ContinuousEngine, Engine, Limits, Request, Sampling
from relabel.engine.continuous.drafter import Drafter
from relabel.engine.runner.kernels import Kernels
from tests.engine import inputs, models

STOP = list(range(5, 128, 17))
NEW = 16
GREEDY = Sampling(max_new_tokens=NEW, stop_token_ids=STOP)
FEW = Limits(kv_tokens=1000, num_slots=8, step_tokens=48)
WIDE = Limits(kv_tokens=20_000, num_slots=64, step_tokens=512)
FAMILIES = {
    "llama": (models.llama, inputs.text_requests),
    "qwen3": (models.qwen3, inputs.text_requests),
    "mistral": (models.mistral, inputs.text_requests),
    "gemma2": (models.gemma2, inputs.text_requests),
    "gpt_oss": (models.gpt_oss, inputs.text_requests),
    "llava": (models.llava, inputs.llava_requests),
    "qwen2_5_vl": (models.qwen2_5_vl, inputs.qwen2_5_vl_requests),
    "smolvlm": (models.smolvlm, inputs.smolvlm_requests),
}
EACH_SETTING: dict[str, dict[str, Any]] = {
    "greedy": {},
    "sampled": {"temperature": 0.8},
    "top k": {"temperature": 0.8, "top_k": 20},
    "penalty": {"repetition_penalty": 1.3, "min_new_tokens": 3},
    "logprobs": {"logprobs": True},
}
"""Of those that need nothing of the host in a step."""
PLAIN = [name for name in FAMILIES if name not in ("gemma2", "gpt_oss")]
"""The others have soft caps or sinks."""
SHARED = [10, 20, 30, 40, 50, 60, 70, 80] * 4
POISON = 95


def continuous(
    model: Any,
    sampling: Sampling = GREEDY,
    limits: Limits = FEW,
    tokenizer: Any = None,
    kernels: Kernels | None = None,
    drafter: Drafter | None = None,
) -> ContinuousEngine:
    return ContinuousEngine(model, tokenizer, sampling, limits=limits, kernels=kernels, drafter=drafter)


def many(requests: list[Request], num_rows: int = 64) -> list[Request]:
    """More rows like these: some prompts come again under another id, some end sooner."""
    return [
        Request(
            id=row,
            prompt_ids=requests[row % len(requests)].prompt_ids,
            tensors=requests[row % len(requests)].tensors,
        )
        for row in range(num_rows)
    ]


def with_prefix(num_rows: int) -> list[Request]:
    return [Request(id=row, prompt_ids=SHARED + prompt) for row, prompt in enumerate(inputs.prompts(num_rows))]


def ids(engine: Engine, requests: list[Request]) -> dict[int, list[int] | None]:
    return {result.id: result.token_ids for result in engine.generate(requests)}


def poisoned(model: Any) -> Any:
    """A model that gives NaN wherever it has read the token POISON."""
    with torch.no_grad():
        model.get_input_embeddings().weight[POISON] = torch.nan
    return model
