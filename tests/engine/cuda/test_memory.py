"""A device that is full costs company, not rows; limits measure what is free."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from relabel.engine import Limits, Request, Sampling
from relabel.engine.continuous.limits import measured_limits
from relabel.engine.model.sizes import kv_bytes
from relabel.rejected import Code
from tests.engine import inputs, models
from tests.engine.kit import STOP, WIDE, continuous

pytestmark = pytest.mark.gpu

LONG = Sampling(max_new_tokens=300, stop_token_ids=STOP[:1])
LEFT = 64 * 2**20
"""Bytes; less than half of what the limits of the test promise."""


@pytest.fixture
def little_memory(cuda: torch.device) -> Iterator[None]:
    """Whatever a test leaves to this process, the next ones have all."""
    yield
    torch.cuda.set_per_process_memory_fraction(1.0, cuda)


def leave(cuda: torch.device, num_bytes: int) -> None:
    """This process may take so much more, whatever the device has."""
    torch.cuda.empty_cache()
    whole = torch.cuda.get_device_properties(cuda).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved(cuda) + num_bytes) / whole, cuda)


def test_out_of_memory_is_survived_and_the_text_stays(cuda: torch.device, little_memory: None) -> None:
    model, requests = models.llama().to(cuda), inputs.text_requests(120)
    expected = continuous(model, LONG, WIDE).generate(requests)
    promised = Limits(kv_tokens=1_000_000, num_slots=2048, step_tokens=4096)
    assert promised.num_slots * LONG.max_new_tokens * kv_bytes(model.config, 4) > 2 * LEFT
    engine = continuous(model, LONG, promised)
    leave(cuda, LEFT)
    assert engine.generate(requests) == expected
    assert engine.goodput.num_out_of_memory > 0
    assert engine.generate(requests[:5]) == expected[:5]


def test_a_row_that_does_not_fit_alone_is_a_reject_and_the_others_are_not(cuda: torch.device) -> None:
    model, requests, sampling = models.llama().to(cuda), inputs.text_requests(10), Sampling(max_new_tokens=8)
    expected = continuous(model, sampling).generate(requests)
    glutton = Request(id=99, prompt_ids=[95] * 4)

    def take_all(_: object, args: object, kwargs: dict[str, torch.Tensor]) -> None:
        if (kwargs["input_ids"] == 95).sum() >= 4:
            torch.empty(10**15, dtype=torch.uint8, device=cuda)

    model.register_forward_pre_hook(take_all, with_kwargs=True)
    engine = continuous(model, sampling)
    *others, lost = engine.generate([*requests, glutton])
    assert others == expected
    assert lost.error is not None
    assert lost.error.code is Code.OUT_OF_MEMORY
    assert engine.goodput.num_out_of_memory > 1


def test_limits_leave_room_for_a_forward_and_take_the_rest(cuda: torch.device) -> None:
    model = models.llama().to(cuda, torch.bfloat16)
    limits = measured_limits(model)
    taken = limits.kv_tokens * kv_bytes(model.config, 2)
    assert 0.5 < taken / torch.cuda.mem_get_info(cuda)[0] < 0.95
