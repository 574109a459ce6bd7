"""What a forward may compute with on a device: the flash kernel, and the capture of decode steps as CUDA graphs.

Knows which device has what; nothing of models or rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch

from relabel.engine.runner.cuda_graphs import BUCKETS, FIRST_USES, Capture, Captured
from relabel.engine.runner.flash import FLASH, PAGE, Flash, is_new_enough
from relabel.engine.runner.kv_cache import BLOCK


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernels:
    """The kernels of a forward beside the plain operators of torch, which any device has."""

    flash: Flash | None
    """None where the device has no such kernel."""
    capture: Capture | None
    """Makes a graph of a decode step; None where each step is launched."""
    buckets: tuple[int, ...] = BUCKETS
    first_uses: int = FIRST_USES
    block_tokens: int = BLOCK
    """Tokens of a block of the KV cache."""

    @classmethod
    def of(cls, device: torch.device) -> Self:
        """All that the device has."""
        if device.type != "cuda":
            return cls(flash=None, capture=None)
        if not is_new_enough(device):
            return cls(flash=None, capture=Captured)
        return cls(flash=FLASH, capture=Captured, block_tokens=PAGE)
