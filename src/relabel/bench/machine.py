"""What the machine can do: its rate of matrix products and of moving memory, measured. Knows nothing of engines."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from transformers import PreTrainedModel

GEMM_ROWS = {"cpu": 1024}
DEVICE_GEMM_ROWS = 8192
"""1,024 rows leave a part of a large GPU without work."""
NUM_TRIES = 10
DEVICE_LAUNCHES = 20
"""In one try on a GPU, so that starting a kernel costs nothing."""
COPY_BYTES = 2**30


def gemm_rate(model: PreTrainedModel) -> float:
    """FLOPs a second of the model's largest inner matrix, in its type and on its device; the best of a few tries."""
    head = model.get_output_embeddings()
    linears = [module for module in model.modules() if isinstance(module, torch.nn.Linear) and module is not head]
    weight = max((linear.weight for linear in linears), key=torch.numel)
    return product_rate(weight, GEMM_ROWS.get(weight.device.type, DEVICE_GEMM_ROWS))


def product_rate(weight: torch.Tensor, rows: int) -> float:
    """FLOPs a second of `rows` random rows times a matrix; the best of a few tries."""
    inputs = torch.randn(rows, weight.shape[1], device=weight.device, dtype=weight.dtype)
    with torch.inference_mode():
        seconds = _best_seconds(lambda: torch.nn.functional.linear(inputs, weight), weight.device)
    return 2 * rows * weight.numel() / seconds


def memory_rate(device: torch.device) -> float | None:
    """Bytes a second read and written by a large copy; None on a CPU, whose caches hold a small model."""
    if device.type == "cpu":
        return None
    source = torch.zeros(COPY_BYTES, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * COPY_BYTES / _best_seconds(lambda: target.copy_(source), device)


def rows_that_fit(device: torch.device, weight_bytes: int, row_bytes: int) -> int:
    """Rows whose keys and values the device's memory holds beside the weights; no bound where it is not known."""
    if device.type != "cuda":
        return 2**31
    return max(1, (torch.cuda.mem_get_info(device)[1] - weight_bytes) // row_bytes)


def device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def settle(device: torch.device) -> None:
    """Wait until a device has done what it was given."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def _best_seconds(work: Callable[[], object], device: torch.device) -> float:
    launches = 1 if device.type == "cpu" else DEVICE_LAUNCHES
    best = float("inf")
    for _ in range(NUM_TRIES + 1):  # the first warms up, and is never the best
        settle(device)
        start = time.perf_counter()
        for _ in range(launches):
            work()
        settle(device)
        best = min(best, (time.perf_counter() - start) / launches)
    return best
