"""The two numbers of the roofline: a large matrix product, and a copy within the device."""

from __future__ import annotations

import torch

from benchmarks.gpu.answer import answer, device_of, is_dry
from relabel.bench.machine import memory_rate, product_rate


def main() -> None:
    dry = is_dry()
    device = device_of(dry)
    size = 256 if dry else 8192

    def matrix_product() -> dict[str, object]:
        weight = torch.randn(size, size, device=device, dtype=torch.bfloat16)
        rate = product_rate(weight, size)
        return {"size": size, "dtype": "bfloat16", "tflops_per_second": rate / 1e12}

    def device_copy() -> dict[str, object]:
        rate = memory_rate(device)
        return {"gb_per_second": None if rate is None else rate / 1e9, "counts": "bytes read and written"}

    answer({"matrix_product": matrix_product, "device_copy": device_copy})


if __name__ == "__main__":
    main()
