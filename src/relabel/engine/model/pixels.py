"""Pixels as bytes between the CPU stages and the model: a quarter of the size, and the same image.

Knows the two layouts of processors (channels third from the end, or rows of Qwen patches); needs no torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    import torch

TOLERANCE = 1e-5
"""In normalised units: far below the step of one byte (1/255 over the deviation), far above the noise of float32."""


class Normalises(Protocol):
    """An image processor, as far as it says how pixels are made of bytes."""

    do_normalize: bool
    do_rescale: bool
    image_mean: Sequence[float]
    image_std: Sequence[float]


def with_levels(tensors: Mapping[str, np.ndarray], processor: Normalises) -> dict[str, np.ndarray]:
    """What a processor gave for an image; its pixels as bytes, and `pixel_norm`, where these give the same pixels."""
    if not (processor.do_normalize and processor.do_rescale):
        return dict(tensors)
    levels, norm = quantise(tensors["pixel_values"], processor.image_mean, processor.image_std)
    return {**tensors, "pixel_values": levels} | ({} if norm is None else {"pixel_norm": norm})


def quantise(
    pixel_values: np.ndarray, mean: Sequence[float], std: Sequence[float]
) -> tuple[np.ndarray, np.ndarray | None]:
    """Bytes and their norm [2, 3] (mean, deviation) if they give the same pixels back; else the pixels and None.

    Pixels that were padded after they were normalised, or resized in floats, are no bytes and stay as they are.
    """
    norm = np.asarray([mean, std], dtype=np.float32)
    if norm.shape != (2, 3) or not _has_channels(pixel_values.shape):
        return pixel_values, None
    shape, num_tail = _layout(pixel_values.shape)
    values = pixel_values.reshape(shape)
    mean_C, std_C = norm.reshape(2, 3, *[1] * num_tail)
    levels = np.rint((values * std_C + mean_C) * 255)
    if not (levels.size and levels.min() >= 0 and levels.max() <= 255):  # NaN fails both
        return pixel_values, None
    if np.abs((levels / 255 - mean_C) / std_C - values).max() > TOLERANCE:
        return pixel_values, None
    return levels.astype(np.uint8).reshape(pixel_values.shape), norm


def dequantise(levels: torch.Tensor, norm: torch.Tensor) -> torch.Tensor:
    """The float32 pixels of `quantise`, computed where `levels` lies."""
    shape, num_tail = _layout(tuple(levels.shape))
    mean_C, std_C = norm.reshape(2, 3, *[1] * num_tail)
    return ((levels.reshape(shape).float() / 255 - mean_C) / std_C).reshape(levels.shape)


def _has_channels(shape: tuple[int, ...]) -> bool:
    return shape[1] % 3 == 0 if len(shape) == 2 else len(shape) >= 3 and shape[-3] == 3


def _layout(shape: tuple[int, ...]) -> tuple[tuple[int, ...], int]:
    """The shape with the channels apart, and how many axes follow them. Qwen's patches begin with the channel."""
    return ((shape[0], 3, shape[1] // 3), 1) if len(shape) == 2 else (shape, 2)
