"""An engine in this process computes on the cores that it has in the actor of a run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from relabel.job.sample.threads import threads_of_an_actor


@pytest.fixture(autouse=True)
def two_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def inside(gpus: float) -> int:
    with threads_of_an_actor(gpus):
        return torch.get_num_threads()


def test_without_a_gpu_it_is_one_and_those_before_are_back_when_it_is_done() -> None:
    assert inside(gpus=0) == 1
    assert torch.get_num_threads() == 2


def test_with_a_gpu_or_where_the_environment_says_how_many_it_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    assert inside(gpus=0.5) == 2
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert inside(gpus=0) == 2
