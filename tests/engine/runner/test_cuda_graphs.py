"""Decode steps that are replayed compute the same as those that are launched, with the numbers of their own step.

The stand-in for a CUDA graph replays the recorded operators, on the same memory and with the numbers that the host had
when they were recorded, as the real one does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from relabel.engine import Limits, Request, Sampling, parity
from relabel.engine.loading import settle_batching
from relabel.engine.runner import cuda_graphs as graphs
from relabel.engine.runner import flash
from relabel.engine.runner.cuda_graphs import Captured
from tests.engine import models
from tests.engine.continuous.test_engine import FEW, continuous, many
from tests.engine.model.test_upload import WAITS
from tests.engine.runner import test_flash
from tests.engine.test_equality import FAMILIES, STOP


class Recorder(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in WAITS:
            raise RuntimeError("operation not permitted when stream is capturing")
        out = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, out))
        return out


class Recorded:
    """Captured, on a CPU."""

    pool = None
    every: list[Recorded] = []

    def __init__(self, compute: Callable[[], torch.Tensor], pool: Any) -> None:
        with Recorder() as recorder:
            self._filled = compute()
        self._calls, self.num_replays = recorder.calls, 0
        Recorded.every.append(self)

    def __call__(self) -> torch.Tensor:
        now: dict[int, torch.Tensor] = {}
        for func, args, kwargs, out in self._calls:
            args, kwargs = tree_map_only(torch.Tensor, lambda tensor: now.get(id(tensor), tensor), (args, kwargs))
            fresh = func(*args, **kwargs)
            outs, freshes = (one if isinstance(one, tuple | list) else [one] for one in (out, fresh))
            now.update((id(old), new) for old, new in zip(outs, freshes, strict=True))
        self.num_replays += 1
        return now[id(self._filled)]


def kernel(q_THD: torch.Tensor, *args: Any, **settings: Any) -> tuple[torch.Tensor, ...]:
    """The flash kernel for one token a row, in operators that read its tables when they run."""
    keys_KHD, values_KHD, _, cu_keys, max_queries = args[:5]
    assert max_queries == 1
    starts_R, used_R, window = cu_keys[:-1], settings["seqused_k"], settings["window_size_left"]
    behind_RK = (starts_R + used_R - 1)[:, None] - torch.arange(len(keys_KHD))
    sees_RK = (behind_RK >= 0) & (behind_RK < used_R[:, None])
    if window is not None:
        sees_RK = sees_RK & (behind_RK <= window)
    groups = q_THD.shape[1] // keys_KHD.shape[1]
    scores = torch.einsum("rhd,khd->rhk", q_THD, keys_KHD.repeat_interleave(groups, 1)) * settings["scale"]
    weights = scores.masked_fill(~sees_RK[:, None], -torch.inf).softmax(-1)
    return (torch.einsum("rhk,khd->rhd", weights, values_KHD.repeat_interleave(groups, 1)),)


def either(q_THD: torch.Tensor, *args: Any, **settings: Any) -> tuple[torch.Tensor, ...]:
    return (kernel if args[4] == 1 else test_flash.kernel)(q_THD, *args, **settings)


@pytest.fixture(autouse=True)
def on_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    Recorded.every.clear()
    monkeypatch.setattr(flash, "KERNEL", either)
    monkeypatch.setattr(flash, "can_take", lambda query, value, softmax: softmax.is_plain)
    monkeypatch.setattr(graphs, "are_there", lambda device: True)
    monkeypatch.setattr(graphs, "Captured", Recorded)
    monkeypatch.setattr(graphs, "FIRST_USES", 1)


@pytest.mark.parametrize("family", test_flash.PLAIN)
def test_replayed_steps_equal_launched_ones(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    build, make_requests = FAMILIES[family]
    model, requests = build(), many(make_requests(), 24)
    results = continuous(model).generate(requests)
    assert sum(one.num_replays for one in Recorded.every) > 5
    monkeypatch.setattr(graphs, "are_there", lambda device: False)
    assert continuous(model).generate(requests) == results


def test_one_capture_a_bucket_and_another_when_slots_are_made_anew() -> None:
    model = models.llama()
    engine = continuous(model, limits=Limits(kv_tokens=20_000, num_slots=40, step_tokens=512))
    requests = models.text_requests(40)
    alone = [models.generate_alone(model, one, 16, STOP) for one in requests]
    assert [row.token_ids for row in engine.generate(requests)] == alone
    assert 1 < len(Recorded.every) <= len([size for size in graphs.BUCKETS if size <= 64])
    num_short = len(Recorded.every)
    text = [token for one in requests for token in one.prompt_ids]
    engine.generate([Request(id=0, prompt_ids=text[:200])])
    assert len(Recorded.every) == num_short + 1


def test_a_bucket_is_captured_when_it_has_come_often_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs, "FIRST_USES", 3)
    own, cpu = graphs.Graphs(), torch.device("cpu")

    def doubled(num_rows: int) -> list[int] | None:
        out = own.run(lambda table_1R: table_1R[0] * 2, [[row] for row in range(num_rows)], cpu)
        return None if out is None else out.tolist()

    assert [doubled(2), doubled(3), doubled(9), doubled(2)] == [None, None, None, [0, 2]]
    assert doubled(4) == [0, 2, 4, 6]
    assert doubled(9) is None
    own.forget()
    assert doubled(2) is None


def test_the_check_at_start_up_compares_a_replayed_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs, "FIRST_USES", parity.FIRST_USES)
    monkeypatch.setattr(parity, "are_there", lambda device: True)
    assert settle_batching(models.llama(), "some/model", "continuous").batching == "continuous"
    assert [one.num_replays for one in Recorded.every] == [1]


@pytest.mark.parametrize("family", ["gemma2", "gpt_oss"])
def test_what_cannot_be_captured_is_launched(family: str) -> None:
    """Soft caps and sinks are computed by kernels that the host plans, from numbers that a replay would not see."""
    model, requests = FAMILIES[family][0](), models.text_requests(20)
    results = continuous(model).generate(requests)
    assert Recorded.every == []
    alone = [models.generate_alone(model, one, 16, STOP) for one in requests]
    assert [row.token_ids for row in results] == alone


def test_a_model_that_waits_for_the_device_is_launched_and_captured_no_second_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, requests = models.llama(), models.text_requests(12)
    requests.append(Request(id=12, prompt_ids=[token for one in requests for token in one.prompt_ids][:90]))
    expected = [row for part in (requests[:12], requests[12:]) for row in continuous(model).generate(part)]
    model.model.norm.register_forward_hook(lambda module, args, out: out * float(out.sum() * 0 + 1))
    Recorded.every.clear()
    tries: list[Any] = []

    def capture(compute: Callable[[], torch.Tensor], pool: Any) -> Recorded:
        tries.append(pool)
        return Recorded(compute, pool)

    monkeypatch.setattr(graphs, "Captured", capture)
    engine = continuous(model)
    assert [*engine.generate(requests[:12]), *engine.generate(requests[12:])] == expected  # slots of two lengths
    assert len(tries) == 1
    assert Recorded.every == []


class Cuda:
    """What a capture meets of torch.cuda. It fails as that of 2.13 does: the thread stays on its stream."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stream, self.mode, self.num_captures = "the one before", 0, 0
        own = {
            "current_stream": lambda: self.stream,
            "set_stream": lambda stream: setattr(self, "stream", stream),
            "get_sync_debug_mode": lambda: self.mode,
            "set_sync_debug_mode": lambda mode: setattr(self, "mode", mode),
            "CUDAGraph": object,
            "graph": lambda *args, **settings: self,
        }
        for name, value in own.items():
            monkeypatch.setattr(torch.cuda, name, value)

    def __enter__(self) -> None:
        self.stream, self.num_captures = "that of the capture", self.num_captures + 1

    def __exit__(self, *_: object) -> None:
        raise RuntimeError("CUDA error: operation failed due to a previous error during capture")


def test_a_capture_that_fails_leaves_the_thread_on_its_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = Cuda(monkeypatch)
    with pytest.raises(RuntimeError, match="previous error during capture"):
        Captured(lambda: torch.zeros(1), None)
    assert (cuda.stream, cuda.mode, cuda.num_captures) == ("the one before", 0, 1)


def test_what_waits_for_the_device_is_found_before_a_capture_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = Cuda(monkeypatch)

    def waits() -> torch.Tensor:
        assert cuda.mode == "error"
        raise RuntimeError("called a synchronizing CUDA operation")

    with pytest.raises(RuntimeError, match="synchronizing"):
        Captured(waits, None)
    assert (cuda.stream, cuda.mode, cuda.num_captures) == ("the one before", 0, 0)


def test_more_rows_than_the_largest_bucket_are_launched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs, "BUCKETS", (2, 4))
    model, requests = models.llama(), models.text_requests(20)
    sampling = Sampling(max_new_tokens=16, stop_token_ids=STOP)
    alone = [models.generate_alone(model, one, 16, STOP) for one in requests]
    assert [row.token_ids for row in continuous(model, sampling, FEW).generate(requests)] == alone
    assert {len(one._filled) for one in Recorded.every} == {2, 4}
