"""A step is launched without a wait for the one before: by CUDA's own check, over steps that decode."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from relabel.engine import Limits, Sampling
from relabel.engine.runner.kernels import Kernels
from tests.engine import inputs, models
from tests.engine.kit import EACH_SETTING, continuous

pytestmark = pytest.mark.gpu

NUM_DECODED = 60
LIMITS = Limits(kv_tokens=20_000, num_slots=64, step_tokens=2048)


@pytest.fixture
def waits_are_errors(cuda: torch.device) -> Iterator[None]:
    torch.cuda.set_sync_debug_mode("error")
    yield
    torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("settings", EACH_SETTING)
@pytest.mark.parametrize("way", ["launched", "replayed", "float32"])
def test_fifty_steps_wait_for_nothing(
    way: str, settings: str, cuda: torch.device, kernels: Kernels, replays: list[int], waits_are_errors: None
) -> None:
    """An error of a step would make its rows begin again, one at a time, and end as rejects."""
    model = models.llama().to(cuda, torch.float32 if way == "float32" else torch.bfloat16)
    sampling = Sampling(max_new_tokens=NUM_DECODED, stop_token_ids=[2**31 - 1], **EACH_SETTING[settings])
    own = kernels if way == "replayed" else replace(kernels, capture=None)
    engine, requests = continuous(model, sampling, LIMITS, kernels=own), inputs.text_requests(40)
    torch.cuda.set_sync_debug_mode("default")  # what is made once, slots and graphs among it, may wait
    engine.generate(requests)
    before, num_replays = replace(engine.goodput), len(replays)
    torch.cuda.set_sync_debug_mode("error")
    results = engine.generate(requests)
    done = engine.goodput - before
    assert [result.error for result in results] == [None] * len(requests)
    assert done.num_forwards >= 50
    assert done.wasted_tokens <= len(requests), "no row began again; each is told one step late that it has ended"
    assert len(replays) - num_replays >= (50 if way == "replayed" else 0)


def test_a_wait_would_be_an_error(waits_are_errors: None, cuda: torch.device) -> None:
    with pytest.raises(RuntimeError, match="synchroniz"):
        float(torch.ones(1, device=cuda).sum())
