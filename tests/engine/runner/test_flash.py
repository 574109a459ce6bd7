"""What the flash kernel is asked to compute is what the rows need. Its contract is played by a few lines of torch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from relabel.engine import Limits, Request, Sampling
from relabel.engine.runner import flash
from relabel.engine.runner.softmax import Softmax
from tests.engine import models
from tests.engine.continuous.test_engine import FEW, NEW, continuous, many, with_prefix
from tests.engine.test_equality import FAMILIES, STOP

PLAIN = [name for name in FAMILIES if name not in ("gemma2", "gpt_oss")]
"""The others have soft caps or sinks."""


def kernel(
    q_THD: torch.Tensor,
    keys_KHD: torch.Tensor,
    values_KHD: torch.Tensor,
    cu_queries: torch.Tensor,
    cu_keys: torch.Tensor,
    max_queries: int,
    max_keys: int,
    dropout: float,
    is_causal: bool,
    return_debug_mask: bool,
    *,
    scale: float,
    window_size_left: int | None,
    window_size_right: int | None,
    seqused_k: torch.Tensor,
) -> tuple[torch.Tensor, ...]:
    """aten::_flash_attention_forward row by row, as torch documents it; fails on tables that it must not be given."""
    assert {table.dtype for table in (cu_queries, cu_keys, seqused_k)} == {torch.int32}
    assert (dropout, is_causal, return_debug_mask) == (0.0, True, False)
    assert window_size_right == (None if window_size_left is None else 0)
    assert keys_KHD.is_contiguous()
    assert len(cu_queries) == len(cu_keys) == len(seqused_k) + 1
    queries, keys, used = cu_queries.tolist(), cu_keys.tolist(), seqused_k.tolist()
    assert keys_KHD.shape == values_KHD.shape
    assert q_THD.stride(-1) == 1
    assert queries[-1] == len(q_THD)
    assert max(used) <= max_keys
    out = []
    for row, num_keys in enumerate(used):
        q_QHD = q_THD[queries[row] : queries[row + 1]]
        assert 1 <= len(q_QHD) <= max_queries
        assert keys[row] + num_keys <= len(keys_KHD)
        k, v = (kept[keys[row] : keys[row] + num_keys] for kept in (keys_KHD, values_KHD))
        groups = q_THD.shape[1] // k.shape[1]
        scores = torch.einsum("qhd,khd->hqk", q_QHD, k.repeat_interleave(groups, 1)) * scale
        behind = (torch.arange(len(q_QHD)) + num_keys - len(q_QHD))[:, None] - torch.arange(num_keys)
        sees = (behind >= 0) & (behind <= (num_keys if window_size_left is None else window_size_left))
        weights = scores.masked_fill(~sees, -torch.inf).softmax(-1)
        out.append(torch.einsum("hqk,khd->qhd", weights, v.repeat_interleave(groups, 1)))
    return (torch.cat(out),)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The kernel stands in for that of CUDA; the tokens of its calls."""
    found: list[int] = []

    def counted(*args: Any, **settings: Any) -> tuple[torch.Tensor, ...]:
        found.append(len(args[0]))
        return kernel(*args, **settings)

    monkeypatch.setattr(flash, "KERNEL", counted)
    monkeypatch.setattr(flash, "can_take", lambda query, value, softmax: softmax.is_plain)
    return found


@pytest.mark.parametrize("family", PLAIN)
def test_rows_equal_those_of_the_plain_kernels(family: str, calls: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    build, make_requests = FAMILIES[family]
    model, requests = build(), many(make_requests(), 24)
    results = continuous(model).generate(requests)
    assert calls
    monkeypatch.setattr(flash, "can_take", lambda query, value, softmax: False)
    assert continuous(model).generate(requests) == results


def test_long_rows_in_pieces_beside_short_ones_equal_rows_alone(calls: list[int]) -> None:
    model = models.llama()
    text = [token for prompt in models.prompts(60) for token in prompt]
    requests = [
        Request(id=row, prompt_ids=text[row : row + length]) for row, length in enumerate([5, 63, 130, 64, 200])
    ]
    sampling = Sampling(max_new_tokens=12, stop_token_ids=STOP[:1])
    limits = Limits(kv_tokens=1200, num_slots=4, step_tokens=50)
    results = continuous(model, sampling, limits).generate(requests)
    assert [row.token_ids for row in results] == [models.generate_alone(model, one, 12, STOP[:1]) for one in requests]


def test_a_shared_prefix_is_copied_into_slots_that_lie_one_after_the_other(calls: list[int]) -> None:
    model, requests = models.llama(), with_prefix(12)
    engine = continuous(model, limits=Limits(kv_tokens=1000, num_slots=4, step_tokens=48))
    results = engine.generate(requests)
    assert [row.token_ids for row in results] == [models.generate_alone(model, one, NEW, STOP) for one in requests]
    assert engine.goodput.shared_tokens > 0


def test_one_call_a_layer_for_all_decoded_rows_and_one_for_all_chunks(calls: list[int]) -> None:
    model = models.llama()
    continuous(model, limits=FEW).generate(models.text_requests(5))
    num_layers = model.config.num_hidden_layers
    assert len(calls) % num_layers == 0
    assert calls[:num_layers] == [calls[0]] * num_layers
    assert calls[-num_layers:] == [1] * num_layers


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
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(flash, "is_new_enough", lambda device: True)
    with FakeTensorMode():
        query, value = (torch.empty(1, 4, 2, size, dtype=dtype, device=device) for size in head_sizes)
        assert flash.can_take(query, value, softmax) is expected


@pytest.mark.parametrize(("capability", "expected"), [((7, 5), False), ((8, 0), True), ((9, 0), True)])
def test_older_devices_have_no_such_kernel(
    capability: tuple[int, int], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    flash.is_new_enough.cache_clear()
    with FakeTensorMode():
        query = torch.empty(1, 4, 2, 64, dtype=torch.bfloat16, device="cuda")
        assert flash.can_take(query, query, PLAIN_SOFTMAX) is expected
    flash.is_new_enough.cache_clear()
