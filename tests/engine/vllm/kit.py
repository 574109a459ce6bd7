"""What tests of vLLM begin with: an engine on the CPU, and rows of which some begin alike."""

from __future__ import annotations

import torch

from relabel.engine import Request, Sampling
from relabel.engine.vllm.settings import VllmSettings

NEW = 24
GREEDY = Sampling(max_new_tokens=NEW)
SMALL = VllmSettings(device="cpu", eager=True, max_tokens=512, max_rows=32, kv_memory=2**28)
BLOCK = 128
"""Positions of one block of vLLM's cache on a CPU: what is shared is whole blocks."""


def start(folder, **other):
    from relabel.engine.vllm.loading import load_vllm

    return load_vllm(str(folder), **{"sampling": GREEDY, "settings": SMALL, "dtype": "float32", **other})


def prompts(num_rows: int, seed: int = 0) -> list[list[int]]:
    """Two in three begin with the same 150 tokens."""
    random = torch.Generator().manual_seed(seed)
    common = torch.randint(5, 400, (150,), generator=random).tolist()
    found = []
    for row in range(num_rows):
        own = torch.randint(5, 400, (3 + 7 * row % 60,), generator=random).tolist()
        found.append([1, *(common if row % 3 else []), *own])
    return found


def rows(num_rows: int, sampling: Sampling | None = None, seed: int = 0) -> list[Request]:
    return [Request(id=row, prompt_ids=ids, sampling=sampling) for row, ids in enumerate(prompts(num_rows, seed))]


def texts(results) -> dict[int, list[int]]:
    assert [result.error for result in results] == [None] * len(results)
    return {result.id: result.token_ids for result in results}
