"""CUDA graphs that count their replays, so that a report says which share of steps was replayed. Computes nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch

from relabel.engine.runner.cuda_graphs import Capture, Graph
from relabel.engine.runner.kernels import Kernels

if TYPE_CHECKING:
    from torch.cuda import _POOL_HANDLE as Pool


@dataclass(slots=True, kw_only=True)
class Counted:
    """Captures by another one, and counts."""

    capture: Capture
    num_captures: int = 0
    num_replays: int = 0
    seconds: float = 0.0
    """Of capturing."""
    refused: list[str] = field(default_factory=list)
    """Why a step could not be captured."""

    def __call__(self, compute: Callable[[], torch.Tensor], pool: Pool | None) -> Graph:
        started = time.perf_counter()
        try:
            graph = self.capture(compute, pool)
        except RuntimeError as error:
            self.refused.append(" ".join(str(error).split())[:300])
            raise
        self.num_captures += 1
        self.seconds += time.perf_counter() - started
        return Replayed(graph, self)


class Replayed:
    """One of its graphs."""

    def __init__(self, graph: Graph, counted: Counted) -> None:
        self._graph, self._counted = graph, counted

    @property
    def pool(self) -> Pool | None:
        return self._graph.pool

    def __call__(self) -> torch.Tensor:
        self._counted.num_replays += 1
        return self._graph()


def counting(device: torch.device) -> tuple[Kernels, Counted | None]:
    """All that the device has, and the count of its graphs; None where it has none."""
    kernels = Kernels.of(device)
    if kernels.capture is None:
        return kernels, None
    counted = Counted(capture=kernels.capture)
    return replace(kernels, capture=counted), counted
