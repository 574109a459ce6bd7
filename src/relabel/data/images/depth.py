"""Channels of more than 8 bits made one of 8: grey of 16 bits, whole numbers of 32, and floating-point numbers.

A container says how large numbers can be, not how large those of its picture are: a camera's 12 bits, a depth map in
millimetres and a mask of 0 and 1 all come in 16. Cut down by the container's scale they are black, which no reader of
the labels could see. So one rule holds for every mode: where the values use the container (none is below 0, and the
greatest is in its upper half), black is 0 and white is the container's greatest value. Else black is the least value
and white the greatest. A picture of one value is shown on the container's scale, and is black or white outside of it.
Knows numbers, not files.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

_WHITE = {"I": 65535.0, "F": 1.0}
"""The greatest value of a container. Pillow gives as `I` what PGM and old versions read of 16 bits, too."""


def is_deep(image: Image.Image) -> bool:
    return image.mode.startswith("I;16") or image.mode in _WHITE


def eight_bits(image: Image.Image) -> Image.Image:
    """A deep picture as grey of 8 bits; as grey with alpha where one of its values stands for transparency."""
    values = np.asarray(image).astype(np.float64)
    is_shown = np.isfinite(values)
    clear = image.info.get("transparency")
    if isinstance(clear, int | float):
        is_shown &= values != clear
    grey = Image.fromarray(_scaled(values, is_shown, _WHITE.get(image.mode, 65535.0)))
    if clear is None:
        return grey
    grey.putalpha(Image.fromarray(np.where(is_shown, 255, 0).astype(np.uint8)))
    return grey


def _scaled(values: np.ndarray, is_shown: np.ndarray, white: float) -> np.ndarray:
    shown = values[is_shown]
    if not shown.size:
        return np.zeros(values.shape, np.uint8)
    low, high = float(shown.min()), float(shown.max())
    if low == high or (low >= 0 and white / 2 <= high <= white):
        low, high = 0.0, white
    with np.errstate(over="ignore", invalid="ignore"):  # numbers of a file may be as large as numbers can be
        scaled = (np.where(is_shown, values, low) / 2 - low / 2) * (255 / (high / 2 - low / 2))
    return np.rint(np.clip(np.nan_to_num(scaled), 0, 255)).astype(np.uint8)
