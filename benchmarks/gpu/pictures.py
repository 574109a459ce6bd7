"""JPEGs of noise that is smooth, as photographs are, and what a processor of Qwen2.5-VL makes of them, on every core.

Knows pictures alone; nothing of models, processes or time.
"""

from __future__ import annotations

import io
from functools import cache
from typing import NamedTuple

import numpy as np
from PIL import Image

from relabel.engine import quantise

SIZE = (480, 360)
VISION_START, VISION_END, IMAGE = 3, 4, 5
"""Tokens of the small prompt, named in the config of the model that is made for it."""
MERGED = 4
"""Patches that become one token."""


class Prepared(NamedTuple):
    """What the engine is given of one image."""

    pixel_values: np.ndarray
    """[patches, 1176], bytes where these give the same pixels back."""
    pixel_norm: np.ndarray | None
    image_grid_thw: np.ndarray


def make_jpegs(count: int, size: tuple[int, int] = SIZE) -> list[bytes]:
    """Pictures of so many pixels, wide and high."""
    rng = np.random.default_rng(0)
    return [_jpeg(rng, size) for _ in range(count)]


def _jpeg(rng: np.random.Generator, size: tuple[int, int]) -> bytes:
    coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)
    fine = rng.normal(0, 6, (size[1], size[0], 3))
    pixels = np.clip(np.asarray(coarse) + fine, 0, 255).astype(np.uint8)
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "JPEG", quality=90)
    return data.getvalue()


def prepare(jpegs: list[bytes]) -> list[Prepared]:
    """Decoded, resized, cut into patches: what the reading stage of a job does with a row's image."""
    return [_prepare(data) for data in jpegs]


def _prepare(data: bytes) -> Prepared:
    with Image.open(io.BytesIO(data)) as image:
        made = _processor()(images=[image.convert("RGB")], return_tensors="np")
    pixels, norm = quantise(made["pixel_values"], _processor().image_mean, _processor().image_std)
    return Prepared(pixels, norm, made["image_grid_thw"])


@cache
def _processor():
    """Without torchvision, which not every machine has."""
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    return Qwen2VLImageProcessorPil()


def warm_up(_: int) -> int:
    """Import all that a worker needs."""
    prepare(make_jpegs(1))
    return 0
