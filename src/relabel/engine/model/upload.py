"""Small tables of the host on their way to the device. Knows numbers and devices alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch


def upload(
    values: Sequence[float] | np.ndarray, device: torch.device, dtype: torch.dtype | None = None
) -> torch.Tensor:
    """On CUDA from pinned memory: a copy from any other makes the host wait for all that is queued."""
    on_host = torch.as_tensor(values, dtype=dtype)
    return on_host.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else on_host.to(device)
