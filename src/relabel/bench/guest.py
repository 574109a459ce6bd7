"""vLLM as one more way to generate, beside relabel's own engines: with the same weights, for the same rows.

Knows how it is begun and whose processor time is its; nothing of a clock.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from relabel.bench.contenders import Contender, by_engine
from relabel.bench.model import Model
from relabel.bench.workload import Workload
from relabel.engine.api.request import Sampling
from relabel.engine.vllm.installed import require_vllm
from relabel.engine.vllm.loading import load_vllm
from relabel.engine.vllm.processes import children_seconds
from relabel.engine.vllm.settings import VllmSettings
from relabel.errors import SpecError

GPU_MEMORY = 0.5
"""The model of the others lies on the same GPU."""


def check_guest(model: str | None, device: str) -> None:
    """Raises SpecError or ModelRefused where vLLM cannot be run beside the others."""
    require_vllm()
    if model is None and device != "cpu":
        raise SpecError("vLLM reads a model from a folder: name one by --model, where one is made on the GPU else")


@contextmanager
def vllm_contender(model: Model, folder: str | None, workload: Workload[list[int]]) -> Iterator[Contender[list[int]]]:
    """vLLM with the model of a folder, or with that of the others written into one; it ends with the block."""
    with tempfile.TemporaryDirectory() as made:
        if folder is None:
            model.own.save_pretrained(made)
        engine = load_vllm(
            folder or made,
            sampling=Sampling(max_new_tokens=workload.new_tokens, stop_token_ids=workload.stop),
            dtype=str(model.own.dtype).removeprefix("torch."),
            settings=VllmSettings(
                device=model.own.device.type,
                max_tokens=max(map(len, workload.prompts)) + workload.new_tokens + 1,
                gpu_memory=GPU_MEMORY,
            ),
        )
    try:
        yield Contender(
            name="vllm",
            model=model.own,
            generate=partial(by_engine, engine),
            engine=engine,
            children_seconds=children_seconds,
        )
    finally:
        engine.close()
