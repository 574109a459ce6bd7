"""Pixels travel as bytes only where the same image comes back."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from relabel.engine import Request, Sampling, StaticEngine, dequantise, quantise
from tests.engine import inputs, models

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def normalised(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Pixels as a processor makes them; for two axes as Qwen's patches, channel by channel within a row."""
    levels = np.random.default_rng(seed).integers(0, 256, shape).astype(np.float32)
    view = levels.reshape(shape[0], 3, -1) if len(shape) == 2 else levels
    mean, std = (np.asarray(v, np.float32).reshape(3, *[1] * (1 if len(shape) == 2 else 2)) for v in (MEAN, STD))
    return ((view / 255 - mean) / std).reshape(shape)


@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 3, 8, 8), (1, 2, 3, 8, 8), (16, 3 * 2 * 4 * 4), (3, 24)])
def test_bytes_give_the_same_pixels_back(shape: tuple[int, ...]) -> None:
    pixels = normalised(shape)
    levels, norm = quantise(pixels, MEAN, STD)
    assert levels.dtype == np.uint8
    assert norm is not None
    assert levels.shape == pixels.shape
    back = dequantise(torch.from_numpy(levels), torch.from_numpy(norm)).numpy()
    np.testing.assert_allclose(back, pixels, atol=1e-5)


def test_pixels_that_are_no_bytes_stay_as_they_are() -> None:
    pixels = normalised((1, 3, 8, 8))
    for spoil in (0.004, 9.0, -9.0, np.nan):
        other = pixels.copy()
        other[0, 1, 2, 3] += spoil
        same, norm = quantise(other, MEAN, STD)
        assert norm is None
        assert same is other
    padded = np.concatenate([pixels, np.zeros_like(pixels)])
    assert quantise(padded, MEAN, STD)[1] is None, "a zero after normalisation is no byte"
    assert quantise(pixels, MEAN[:1], STD[:1])[1] is None


@pytest.mark.parametrize("family", ["llava", "smolvlm"])
def test_the_engine_reads_bytes_as_the_pixels_they_stand_for(family: str) -> None:
    build = {"llava": models.llava, "smolvlm": models.smolvlm}[family]
    requests = {"llava": inputs.llava_requests, "smolvlm": inputs.smolvlm_requests}[family]()
    plain, packed = [], []
    for request in requests:
        tensors, small = {}, {}
        if request.tensors:
            pixels = normalised(request.tensors["pixel_values"].shape, seed=request.id)
            levels, norm = quantise(pixels, MEAN, STD)
            assert norm is not None
            tensors, small = {"pixel_values": pixels}, {"pixel_values": levels, "pixel_norm": norm}
        plain.append(Request(id=request.id, prompt_ids=request.prompt_ids, tensors=tensors))
        packed.append(Request(id=request.id, prompt_ids=request.prompt_ids, tensors=small))
    engine = StaticEngine(build(), None, Sampling(max_new_tokens=8))
    assert engine.generate(packed) == engine.generate(plain)
