"""What is asked of a tokenizer and of a processor of transformers, which is not imported; and what a processor does."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Protocol, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image


class AddedToken(Protocol):
    """A token beside those of the vocabulary that was trained."""

    content: str
    special: bool


class Tokens(TypedDict):
    """What a tokenizer makes of a text."""

    input_ids: list[int]
    offset_mapping: list[tuple[int, int]]
    """The first character of each token and the one after its last; there where it is asked for."""


class Tokenizer(Protocol):
    """Text to token ids."""

    bos_token: str | None
    chat_template: str | dict[str, str] | None
    special_tokens_map: Mapping[str, object]

    @property
    def added_tokens_decoder(self) -> Mapping[int, AddedToken]: ...

    def __call__(self, text: str, **options: bool) -> Tokens: ...


class ImageProcessor(Protocol):
    """How the pixels of a model are made."""

    do_normalize: bool
    do_rescale: bool
    image_mean: Sequence[float]
    image_std: Sequence[float]

    def __call__(self, *, images: list[Image.Image], return_tensors: str) -> Mapping[str, ArrayLike]: ...


class Processor(Protocol):
    """Text and its images to token ids and tensors."""

    tokenizer: Tokenizer
    chat_template: str | dict[str, str] | None
    image_processor: ImageProcessor

    def __call__(
        self, *, text: list[str], images: list[Image.Image], return_tensors: str, add_special_tokens: bool
    ) -> Mapping[str, ArrayLike]: ...


_TRIED = (2400, 1800), (1800, 2400), (1800, 1800)
"""Width and height. A model's own side is at most half of the least: with larger ones there is little to win."""
_SQUARE = 900
_WHOLE = 0.985
"""A share from which on nothing is cut off: levels of 255 are not finer."""
_SAME = 0.05
"""Of the spread of the pixels: what scaling in two steps may change of a smooth picture. It changes 0.002 to 0.003."""


def edge_of(processor: ImageProcessor) -> int | None:
    """The longer side, in pixels, to which it scales whatever picture it gets, a square one; None where it does not.

    It may then cut out the middle, as CLIP does.

    Tried, not read from its files, which say it in a dozen ways: with pictures of three shapes, whole and halved.
    """
    shape: tuple[int, ...] | None = None
    for size in _TRIED:
        whole = _smooth(size)
        try:
            pixels, again = _pixels(processor, whole), _pixels(processor, whole.reduce(2))
        except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError):
            return None  # it takes no picture alone
        shape = shape or pixels.shape
        if (
            pixels.shape != shape
            or again.shape != shape
            or len(shape) < 3
            or shape[-3] != 3
            or np.prod(shape[:-2]) != 3
        ):
            return None  # its size depends on the picture's, or it makes patches or tiles
        if np.abs(pixels - again).mean() > _SAME * pixels.std():
            return None  # it cuts out what it does not scale
    edge = max(shape[-2:]) if shape else 0
    if (share := _share_seen(processor)) < _WHOLE:
        edge = math.ceil(edge / share / _WHOLE)  # rather larger than too small
    return edge if 2 * edge <= min(min(size) for size in _TRIED) else None


def _share_seen(processor: ImageProcessor) -> float:
    """How much of the width of a square picture it leaves: 0.875 where it scales to 256 and cuts out 224."""
    ramp = Image.fromarray(np.tile(np.linspace(0, 255, _SQUARE, dtype=np.uint8)[None, :, None], (_SQUARE, 1, 3)))
    black, white = (Image.new("RGB", ramp.size, colour) for colour in ("black", "white"))
    low, high = (_pixels(processor, one).mean() for one in (black, white))
    columns = _pixels(processor, ramp).reshape(3, -1, _pixels(processor, ramp).shape[-1]).mean(axis=(0, 1))
    step = (columns[-1] - columns[0]) / (len(columns) - 1)
    return float(step * len(columns) / (high - low))


def _pixels(processor: ImageProcessor, picture: Image.Image) -> NDArray[np.float64]:
    return np.asarray(processor(images=[picture], return_tensors="pt")["pixel_values"], dtype=np.float64)


def _smooth(size: tuple[int, int]) -> Image.Image:
    """Of one shape and colours that nothing repeats."""
    levels = np.random.default_rng(0).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(levels).resize(size, Image.Resampling.BICUBIC)
