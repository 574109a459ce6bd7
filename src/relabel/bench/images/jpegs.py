"""Pictures for a benchmark: smooth noise, as photographs are, in a few sizes and shapes. Knows pictures alone."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

SIZES = ((640, 480), (1280, 960), (480, 640), (1280, 640))
"""Width and height, one after the other."""
QUALITY = 90


def make_jpegs(count: int, seed: int = 0) -> list[bytes]:
    """Picture k of a seed is always the same."""
    return [_jpeg(np.random.default_rng((seed, at)), SIZES[at % len(SIZES)]) for at in range(count)]


def _jpeg(rng: np.random.Generator, size: tuple[int, int]) -> bytes:
    coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)
    fine = rng.normal(0, 6, (size[1], size[0], 3))
    data = io.BytesIO()
    pixels = np.clip(np.asarray(coarse) + fine, 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(data, "JPEG", quality=QUALITY)
    return data.getvalue()
