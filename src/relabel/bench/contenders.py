"""The ways to generate that are compared: each takes prompts and gives every row's new tokens, less its stop token.

Those of transformers do what a user would write today. Knows models and engines; nothing of time or figures.
"""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Generic, cast

import torch
from transformers import GenerationConfig
from transformers.generation.configuration_utils import ContinuousBatchingConfig

from relabel.bench.model import Model
from relabel.bench.workload import Prompt, Workload
from relabel.engine import Engine, Request, Sampling
from relabel.engine.loading import make_engine, settle_batching
from relabel.errors import RunFailed

if TYPE_CHECKING:
    from transformers import GenerationMixin, PreTrainedModel

Prompts = Sequence[list[int]]
NUM_ALONE = 48
"""Rows for one at a time, which is the slowest way."""
CPU_ROWS, CPU_STEP_TOKENS, PAGE_TOKENS = 32, 512, 256
"""Of `generate_batch` on a CPU, where it takes 60 % of the memory unless it is told how much: as fast as any of 16 to
64 rows and 256 to 1,024 tokens a step. Pages are of the default size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender(Generic[Prompt]):
    """One way to generate."""

    name: str
    model: PreTrainedModel
    generate: Callable[[Sequence[Prompt]], list[list[int]]]
    engine: Engine | None = None
    num_rows: int | None = None
    """The first rows only."""
    children_seconds: Callable[[], float] | None = None
    """Processor seconds of the processes that it has begun, where it has."""
    may_fail: bool = False
    """It is another's experiment, which must not end the benchmark."""


def make_contenders(model: Model, workload: Workload[list[int]]) -> list[Contender[list[int]]]:
    """All ways, ready to run. Engines are made for the workload, so that none holds memory for another."""
    ends = {"stop": workload.stop, "new_tokens": workload.new_tokens}
    sampling = Sampling(max_new_tokens=workload.new_tokens, stop_token_ids=workload.stop)
    by_size = partial(padded, model.plain, **ends)
    contenders = [
        Contender(name="one_by_one", model=model.plain, generate=partial(by_size, batch_size=1), num_rows=NUM_ALONE),
        Contender(name="padded_64", model=model.plain, generate=partial(by_size, batch_size=64)),
        Contender(
            name="padded_64_by_length",
            model=model.plain,
            generate=partial(by_size, batch_size=64, by_length=True),
        ),
    ]
    for batching in ("static", "continuous"):
        verdict = settle_batching(model.own, model.name, batching)
        engine = make_engine(model.own, None, sampling, verdict)
        contenders.append(Contender(name=batching, model=model.own, generate=partial(by_engine, engine), engine=engine))
    theirs = partial(generate_batch, model.plain, **ends)
    return [*contenders, Contender(name="generate_batch", model=model.plain, generate=theirs, may_fail=True)]


def by_engine(engine: Engine, prompts: Prompts) -> list[list[int]]:
    """Static or continuous."""
    return tokens_of(engine, [Request(id=row, prompt_ids=prompt) for row, prompt in enumerate(prompts)])


def tokens_of(engine: Engine, requests: Sequence[Request]) -> list[list[int]]:
    """The new tokens of each row; one that fails ends the benchmark."""
    results = engine.generate(requests)
    if errors := [result.error for result in results if result.error is not None]:
        raise RunFailed(f"{len(errors)} of {len(results)} rows of the benchmark failed in the engine: {errors[0]}")
    return [result.token_ids or [] for result in results]


@torch.inference_mode()
def padded(
    model: PreTrainedModel,
    prompts: Prompts,
    *,
    stop: Sequence[int],
    new_tokens: int,
    batch_size: int,
    by_length: bool = False,
) -> list[list[int]]:
    """Batches in the order of arrival or by length, padded on the left."""
    order = sorted(range(len(prompts)), key=lambda row: len(prompts[row])) if by_length else list(range(len(prompts)))
    generate = cast("Callable[..., torch.Tensor]", model.generate)
    outputs: dict[int, list[int]] = {}
    for at in range(0, len(order), batch_size):
        batch = [prompts[row] for row in order[at : at + batch_size]]
        width = max(map(len, batch))
        ids = torch.tensor([[0] * (width - len(prompt)) + prompt for prompt in batch], device=model.device)
        mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in batch], device=model.device)
        made = generate(
            ids,
            attention_mask=mask,
            max_new_tokens=new_tokens,
            do_sample=False,
            eos_token_id=list(stop),
            pad_token_id=0,
        )
        outputs.update(zip(order[at : at + batch_size], made[:, width:].tolist(), strict=True))
    return [until(stop, outputs[row]) for row in range(len(prompts))]


def generate_batch(
    model: PreTrainedModel, prompts: Prompts, *, stop: Sequence[int], new_tokens: int
) -> list[list[int]]:
    """The continuous batching of transformers; as it is on a GPU, with bounds on its memory on a CPU."""
    config = GenerationConfig(max_new_tokens=new_tokens, do_sample=False, eos_token_id=list(stop), pad_token_id=0)
    bounds = None
    if model.device.type == "cpu":
        pages = CPU_ROWS * math.ceil((max(map(len, prompts)) + new_tokens) / PAGE_TOKENS)
        bounds = ContinuousBatchingConfig(
            num_blocks=math.ceil(pages / 0.85) + 1,  # it admits one row at a time once 15 % are left
            max_batch_tokens=CPU_STEP_TOKENS,
            max_requests_per_batch=CPU_ROWS,
        )
    attention = cast(str, model.config._attn_implementation)
    try:
        with contextlib.redirect_stdout(sys.stderr):  # it prints when it fails, and stdout is for the figures
            made = cast("GenerationMixin", model).generate_batch(
                list(prompts), generation_config=config, continuous_batching_config=bounds
            )
    finally:
        model.set_attn_implementation(attention)  # it leaves its own where it cannot start
    errors = [output.error for output in made.values() if output.error is not None]
    if len(made) != len(prompts) or errors:
        raise RuntimeError(f"{len(made) - len(errors)} of {len(prompts)} rows came back: {(errors or ['no error'])[0]}")
    return [until(stop, output.generated_tokens) for output in made.values()]


def until(stop: Sequence[int], tokens: list[int]) -> list[int]:
    """The tokens before the first stop token."""
    ends = set(stop)
    return tokens[: next((at for at, token in enumerate(tokens) if token in ends), len(tokens))]
