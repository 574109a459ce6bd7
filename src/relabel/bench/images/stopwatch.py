"""Where the seconds of a way go: to decoding and processing pictures, to the vision tower, to the text part.

Knows what begins and ends; nothing of what is compared.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from relabel.bench.machine import settle

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(slots=True, kw_only=True)
class Lap:
    """Seconds of one call by the clock."""

    preparing: float = 0.0
    vision: float = 0.0


class Stopwatch:
    """One lap a call of one way."""

    def __init__(self, model: PreTrainedModel) -> None:
        self.laps: list[Lap] = []
        self._device = model.device
        self._tower: torch.nn.Module = model.get_encoder(modality="image")
        """The model itself where transformers knows no tower: then the text part takes all that is left."""
        self._has_tower = self._tower is not model
        self._began = 0.0

    @contextmanager
    def lap(self) -> Iterator[None]:
        """Within it the vision tower is timed."""
        self.laps.append(Lap())
        if not self._has_tower:
            yield
            return
        hooks = [self._tower.register_forward_pre_hook(self._begin), self._tower.register_forward_hook(self._end)]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    @contextmanager
    def preparing(self) -> Iterator[None]:
        """Within it pictures are made ready."""
        began = time.perf_counter()
        yield
        self.laps[-1].preparing += time.perf_counter() - began

    def _begin(self, *_: object) -> None:
        settle(self._device)
        self._began = time.perf_counter()

    def _end(self, *_: object) -> None:
        settle(self._device)
        self.laps[-1].vision += time.perf_counter() - self._began
