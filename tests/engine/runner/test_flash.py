"""What the flash kernel is asked to compute is what the rows need. Its contract is played by a few lines of torch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from relabel.engine import Limits, Request, Sampling
from relabel.engine.runner.cuda_graphs import Captured
from relabel.engine.runner.flash import can_take
from relabel.engine.runner.kernels import Kernels
from relabel.engine.runner.softmax import Softmax
from tests.engine import inputs, models
from tests.engine.kit import FAMILIES, FEW, NEW, PLAIN, STOP, continuous, many, with_prefix
from tests.engine.runner.stand_ins import FLASH, attend_row_by_row


class Calls:
    """The flash kernel, and the tokens of each call of it."""

    def __init__(self) -> None:
        self.found: list[int] = []
        self.kernels = Kernels(flash=replace(FLASH, kernel=self._attend), capture=None)

    def _attend(self, *args: Any, **settings: Any) -> tuple[torch.Tensor, ...]:
        self.found.append(len(args[0]))
        return attend_row_by_row(*args, **settings)


@pytest.fixture
def calls() -> Calls:
    return Calls()


@pytest.mark.parametrize("family", PLAIN)
def test_rows_equal_those_of_the_plain_kernels(family: str, calls: Calls) -> None:
    build, make_requests = FAMILIES[family]
    model, requests = build(), many(make_requests(), 24)
    results = continuous(model, kernels=calls.kernels).generate(requests)
    assert calls.found
    assert continuous(model).generate(requests) == results


def test_long_rows_in_pieces_beside_short_ones_equal_rows_alone(calls: Calls) -> None:
    model = models.llama()
    text = [token for prompt in inputs.prompts(60) for token in prompt]
    requests = [
        Request(id=row, prompt_ids=text[row : row + length]) for row, length in enumerate([5, 63, 130, 64, 200])
    ]
    sampling = Sampling(max_new_tokens=12, stop_token_ids=STOP[:1])
    limits = Limits(kv_tokens=1200, num_slots=4, step_tokens=50)
    results = continuous(model, sampling, limits, kernels=calls.kernels).generate(requests)
    assert [row.token_ids for row in results] == [models.generate_alone(model, one, 12, STOP[:1]) for one in requests]


def test_a_shared_prefix_is_copied_into_slots_that_lie_one_after_the_other(calls: Calls) -> None:
    model, requests = models.llama(), with_prefix(12)
    engine = continuous(model, limits=Limits(kv_tokens=1000, num_slots=4, step_tokens=48), kernels=calls.kernels)
    results = engine.generate(requests)
    assert [row.token_ids for row in results] == [models.generate_alone(model, one, NEW, STOP) for one in requests]
    assert engine.goodput.shared_tokens > 0


def test_one_call_a_layer_for_all_decoded_rows_and_one_for_all_chunks(calls: Calls) -> None:
    model = models.llama()
    continuous(model, limits=FEW, kernels=calls.kernels).generate(inputs.text_requests(5))
    num_layers = model.config.num_hidden_layers
    assert len(calls.found) % num_layers == 0
    assert calls.found[:num_layers] == [calls.found[0]] * num_layers
    assert calls.found[-num_layers:] == [1] * num_layers


PLAIN_SOFTMAX = Softmax(scale=1, softcap=None, sinks=None)


@pytest.mark.parametrize(
    ("device", "dtype", "head_sizes", "softmax", "expected"),
    [
        ("cuda", torch.bfloat16, (64, 64), PLAIN_SOFTMAX, True),
        ("cuda", torch.float16, (256, 256), PLAIN_SOFTMAX, True),
        ("cpu", torch.bfloat16, (64, 64), PLAIN_SOFTMAX, False),
        ("cuda", torch.float32, (64, 64), PLAIN_SOFTMAX, False),
        ("cuda", torch.bfloat16, (20, 20), PLAIN_SOFTMAX, False),
        ("cuda", torch.bfloat16, (192, 128), PLAIN_SOFTMAX, False),
        ("cuda", torch.bfloat16, (512, 512), PLAIN_SOFTMAX, False),
        ("cuda", torch.bfloat16, (64, 64), Softmax(scale=1, softcap=5.0, sinks=None), False),
        ("cuda", torch.bfloat16, (64, 64), Softmax(scale=1, softcap=None, sinks=torch.zeros(4)), False),
    ],
)
def test_what_the_kernel_takes(
    device: str,
    dtype: torch.dtype,
    head_sizes: tuple[int, int],
    softmax: Softmax,
    expected: bool,
) -> None:
    with FakeTensorMode():
        query, value = (torch.empty(1, 4, 2, size, dtype=dtype, device=device) for size in head_sizes)
        assert can_take(query, value, softmax) is expected


@pytest.mark.parametrize(("capability", "expected"), [((7, 5), False), ((8, 0), True), ((9, 0), True)])
def test_older_devices_have_no_such_kernel(
    capability: tuple[int, int], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    kernels = Kernels.of(torch.device("cuda"))
    assert (kernels.flash is not None) is expected
    assert kernels.capture is Captured, "graphs are for every CUDA device"


def test_a_cpu_has_the_plain_operators_alone() -> None:
    assert Kernels.of(torch.device("cpu")) == Kernels(flash=None, capture=None)
