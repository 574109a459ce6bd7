"""What is asked of a tokenizer and of a processor of transformers. Contracts alone: imports neither."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, TypedDict

from numpy.typing import ArrayLike
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


class Processor(Protocol):
    """Text and its images to token ids and tensors."""

    tokenizer: Tokenizer
    chat_template: str | dict[str, str] | None
    image_processor: ImageProcessor

    def __call__(
        self, *, text: list[str], images: list[Image.Image], return_tensors: str, add_special_tokens: bool
    ) -> Mapping[str, ArrayLike]: ...
