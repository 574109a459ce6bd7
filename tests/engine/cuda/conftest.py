"""The device of the tests marked `gpu`. RELABEL_GPU_TESTS_ON=cpu runs those that a CPU can, kernels played by torch."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
import torch

from relabel.engine.runner.cuda_graphs import Graph
from relabel.engine.runner.kernels import Kernels
from tests.engine.runner.stand_ins import FLASH, Captures

torch.backends.cudnn.allow_tf32 = False  # as when a model is loaded
ON_A_CPU = os.environ.get("RELABEL_GPU_TESTS_ON") == "cpu"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if torch.cuda.is_available():
        return
    for item in items:
        if "cuda" in item.path.parts and (not ON_A_CPU or "cuda" in getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.skip(reason="there is no CUDA device here"))


@pytest.fixture
def cuda() -> torch.device:
    """A CUDA device and no other."""
    return torch.device("cuda", 0)


@pytest.fixture
def device() -> torch.device:
    """A CUDA device, or the CPU in its place."""
    return torch.device("cpu") if ON_A_CPU and not torch.cuda.is_available() else torch.device("cuda", 0)


class Counting:
    """A captured graph, and how often it is replayed."""

    def __init__(self, graph: Graph, replays: list[int]) -> None:
        self._graph, self._replays = graph, replays
        self.pool = graph.pool

    def __call__(self) -> torch.Tensor:
        self._replays.append(1)
        return self._graph()


@pytest.fixture
def replays() -> list[int]:
    """One more for each replay of a graph of `kernels`."""
    return []


@pytest.fixture
def kernels(device: torch.device, replays: list[int]) -> Kernels:
    """All that the device has, a step captured the first time that it comes."""
    own = Kernels.of(device) if device.type == "cuda" else Kernels(flash=FLASH, capture=Captures())
    capture = own.capture
    assert capture is not None
    return replace(own, first_uses=1, capture=lambda compute, pool: Counting(capture(compute, pool), replays))
