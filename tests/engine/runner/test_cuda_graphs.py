"""Decode steps that are replayed compute the same as those that are launched, with the numbers of their own step."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from relabel.engine import Limits, Request, Sampling
from relabel.engine.loading import settle_batching
from relabel.engine.runner.cuda_graphs import BUCKETS, FIRST_USES, Captured, Graphs
from relabel.engine.runner.kernels import Kernels
from tests.engine import inputs, models
from tests.engine.kit import FAMILIES, FEW, PLAIN, STOP, continuous, many
from tests.engine.runner.stand_ins import FLASH, Captures


@pytest.fixture
def captures() -> Captures:
    return Captures()


def with_graphs(captures: Captures, **others: Any) -> Kernels:
    """As on CUDA; a step is captured the first time that it comes."""
    return Kernels(flash=FLASH, capture=captures, **{"first_uses": 1, **others})


@pytest.mark.parametrize("family", PLAIN)
def test_replayed_steps_equal_launched_ones(family: str, captures: Captures) -> None:
    build, make_requests = FAMILIES[family]
    model, requests = build(), many(make_requests(), 24)
    results = continuous(model, kernels=with_graphs(captures)).generate(requests)
    assert sum(one.num_replays for one in captures.every) > 5
    assert continuous(model, kernels=Kernels(flash=FLASH, capture=None)).generate(requests) == results


def test_one_capture_a_bucket_which_longer_rows_replay_too(captures: Captures) -> None:
    model = models.llama()
    engine = continuous(
        model, limits=Limits(kv_tokens=20_000, num_slots=40, step_tokens=512), kernels=with_graphs(captures)
    )
    requests = inputs.text_requests(40)
    alone = [models.generate_alone(model, one, 16, STOP) for one in requests]
    assert [row.token_ids for row in engine.generate(requests)] == alone
    assert 1 < len(captures.every) <= len([size for size in BUCKETS if size <= 64])
    engine.generate(requests[:1])
    num_short, num_replays = len(captures.every), sum(one.num_replays for one in captures.every)
    text = [token for one in requests for token in one.prompt_ids]
    long = Request(id=0, prompt_ids=text[:200])
    assert engine.generate([long])[0].token_ids == models.generate_alone(model, long, 16, STOP)
    assert len(captures.every) == num_short
    assert sum(one.num_replays for one in captures.every) > num_replays


def test_a_bucket_is_captured_when_it_has_come_often_enough(captures: Captures) -> None:
    own, cpu = Graphs(captures, first_uses=3), torch.device("cpu")

    def doubled(num_rows: int) -> list[int] | None:
        out = own.run(lambda table_1R: table_1R[0] * 2, [[row] for row in range(num_rows)], cpu)
        return None if out is None else out.tolist()

    assert [doubled(2), doubled(3), doubled(9), doubled(2)] == [None, None, None, [0, 2]]
    assert doubled(4) == [0, 2, 4, 6]
    assert doubled(9) is None
    own.forget()
    assert doubled(2) is None


def test_the_check_at_start_up_compares_a_replayed_step(captures: Captures) -> None:
    kernels = with_graphs(captures, first_uses=FIRST_USES)
    verdict = settle_batching(models.llama(), "some/model", "continuous", kernels=kernels)
    assert verdict.batching == "continuous"
    assert [one.num_replays for one in captures.every] == [1]


@pytest.mark.parametrize("family", ["gemma2", "gpt_oss"])
def test_what_cannot_be_captured_is_launched(family: str, captures: Captures) -> None:
    """Soft caps and sinks are computed by kernels that the host plans, from numbers that a replay would not see."""
    model, requests = FAMILIES[family][0](), inputs.text_requests(20)
    results = continuous(model, kernels=with_graphs(captures)).generate(requests)
    assert captures.every == []
    alone = [models.generate_alone(model, one, 16, STOP) for one in requests]
    assert [row.token_ids for row in results] == alone


def test_a_model_that_waits_for_the_device_is_launched_and_captured_no_second_time(captures: Captures) -> None:
    model, requests = models.llama(), inputs.text_requests(12)
    requests.append(Request(id=12, prompt_ids=[token for one in requests for token in one.prompt_ids][:90]))
    launched = continuous(model, kernels=Kernels(flash=FLASH, capture=None))
    expected = [row for part in (requests[:12], requests[12:]) for row in launched.generate(part)]
    model.model.norm.register_forward_hook(lambda module, args, out: out * float(out.sum() * 0 + 1))
    engine = continuous(model, kernels=with_graphs(captures))
    assert [*engine.generate(requests[:12]), *engine.generate(requests[12:])] == expected
    assert captures.num_tries == 1
    assert captures.every == []


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


def test_more_rows_than_the_largest_bucket_are_launched(captures: Captures) -> None:
    model, requests = models.llama(), inputs.text_requests(20)
    sampling = Sampling(max_new_tokens=16, stop_token_ids=STOP)
    alone = [models.generate_alone(model, one, 16, STOP) for one in requests]
    engine = continuous(model, sampling, FEW, kernels=with_graphs(captures, buckets=(2, 4)))
    assert [row.token_ids for row in engine.generate(requests)] == alone
    assert {len(one.filled) for one in captures.every} == {2, 4}
