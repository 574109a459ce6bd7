"""The flash kernel and replayed graphs compute what the plain operators compute, in bfloat16 up to its rounding."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from relabel.engine import Limits, Request, Sampling
from relabel.engine.parity import TOLERANCE, Probes
from relabel.engine.runner.forward import Forward, RaggedAttention
from relabel.engine.runner.kernels import Kernels
from relabel.engine.scheduling.step import DecodeRow, Layout, PrefillChunk, Step, TakenBlock
from tests.engine import inputs
from tests.engine.kit import FAMILIES, PLAIN, STOP, continuous

pytestmark = pytest.mark.gpu

PLAIN_OPERATORS = Kernels(flash=None, capture=None)
NUM_ROWS, NUM_STEPS, LONGEST = 24, 6, 400
"""Some rows have two blocks of FlashAttention's 256 tokens, some one."""


def half(family: str, device: torch.device) -> Any:
    return FAMILIES[family][0]().to(device, torch.bfloat16)


@torch.inference_mode()
def logits_of(model: Any, kernels: Kernels) -> torch.Tensor:
    """[steps, rows, vocabulary] of ragged prompts and of steps that decode given tokens, slots and blocks mixed up."""
    prompts = inputs.prompts(NUM_ROWS, longest=LONGEST)
    requests = {row: Request(id=row, prompt_ids=ids) for row, ids in enumerate(prompts)}
    forward, slots = Forward(model, kernels), [(row * 7) % NUM_ROWS for row in range(NUM_ROWS)]
    forward.lay_out(layout := Layout.of_rows(NUM_ROWS, LONGEST + NUM_STEPS, forward.block_tokens))
    per_row = layout.num_blocks // NUM_ROWS
    taken = [
        TakenBlock(at % NUM_ROWS, at // NUM_ROWS, (at * 5 + 3) % layout.num_blocks) for at in range(layout.num_blocks)
    ]
    assert len({block.block for block in taken}) == layout.num_blocks == NUM_ROWS * per_row
    forward.kv_cache.take(taken)
    chunks = tuple(PrefillChunk(row, slots[row], 0, len(ids), is_last=True) for row, ids in enumerate(prompts))
    found = []
    with RaggedAttention(model):
        for number in range(NUM_STEPS):
            live = tuple(DecodeRow(row, slots[row], len(ids) + number - 1) for row, ids in enumerate(prompts))
            logits, order = forward.run(Step(live, ()) if number else Step((), chunks), requests)
            found.append(logits.float()[torch.tensor(order, device=logits.device).argsort()])
            tokens = torch.tensor([(row * 11 + number * 5) % 80 + 5 for row in range(NUM_ROWS)], device=logits.device)
            forward.set_newest(slots, tokens)
    return torch.stack(found)


def apart(some: torch.Tensor, others: torch.Tensor) -> float:
    """The largest distance over the spread of the logits, as the check at start-up has it."""
    spread = (others - others.mean(-1, keepdim=True)).norm(dim=-1)
    return ((some - others).norm(dim=-1) / spread).max().item()


@pytest.mark.parametrize("family", PLAIN)
def test_flash_is_as_close_to_plain_operators_as_these_are_to_rows_alone(
    family: str, device: torch.device, kernels: Kernels
) -> None:
    model = half(family, device)
    assert (
        apart(logits_of(model, replace(kernels, capture=None)), logits_of(model, PLAIN_OPERATORS))
        < TOLERANCE[torch.bfloat16]
    )


@pytest.mark.parametrize("family", PLAIN)
def test_replayed_steps_have_the_logits_of_launched_ones(
    family: str, device: torch.device, kernels: Kernels, replays: list[int]
) -> None:
    model = half(family, device)
    replayed = logits_of(model, kernels)
    assert sum(replays) == NUM_STEPS - 1, "a step that decodes alone is replayed"
    assert apart(replayed, logits_of(model, replace(kernels, capture=None))) < TOLERANCE[torch.bfloat16]


def test_texts_of_replayed_steps_are_those_of_launched_ones(device: torch.device, kernels: Kernels) -> None:
    """Some differ: where two tokens are as good, the rounding of a bucket's matrix products decides. A wrong slot would
    change nearly all."""
    model, requests = half("llama", device), inputs.text_requests(60)
    sampling, limits = (
        Sampling(max_new_tokens=24, stop_token_ids=STOP),
        Limits(kv_tokens=20_000, num_slots=32, step_tokens=256),
    )
    texts = [
        [row.token_ids for row in continuous(model, sampling, limits, kernels=own).generate(requests)]
        for own in (kernels, replace(kernels, capture=None))
    ]
    assert sum(len(row or ()) for row in texts[0]) > 100
    equal = sum(one == other for one, other in zip(*texts, strict=True))
    assert equal >= len(requests) / 2, f"{equal} of {len(requests)} texts are the same"


def test_the_probes_take_the_graphs_of_the_device(device: torch.device, kernels: Kernels, replays: list[int]) -> None:
    probes = Probes(half("llama", device), kernels=kernels)
    assert probes.difference(probes.ragged) < TOLERANCE[torch.bfloat16]
    assert sum(replays) >= 1
