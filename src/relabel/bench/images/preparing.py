"""JPEGs into what a model reads, by its own processor: a padded batch, or one row as the engines take it."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

import numpy as np
from PIL import Image

from relabel.bench.images.model import QUESTION
from relabel.engine import Request
from relabel.engine.model.pixels import Normalises, with_levels

if TYPE_CHECKING:
    from transformers import BatchFeature, ProcessorMixin


class Preparer:
    """One processor and the prompt of every image."""

    def __init__(self, processor: ProcessorMixin) -> None:
        self._process = cast("Callable[..., BatchFeature]", processor)
        self._image_processor = cast(Normalises, processor.image_processor)
        self._prompt = _prompt(processor)

    def batch(self, jpegs: Sequence[bytes]) -> BatchFeature:
        """As users of transformers make one, padded on the left."""
        images = [[_decoded(jpeg)] for jpeg in jpegs]
        return self._process(text=[self._prompt] * len(jpegs), images=images, padding=True, return_tensors="pt")

    def request(self, row: int, jpeg: bytes) -> Request:
        """As a job makes one: pixels are bytes where these give the same pixels back."""
        batch = self._process(text=[self._prompt], images=[[_decoded(jpeg)]], return_tensors="pt")
        arrays = {name: np.asarray(value) for name, value in batch.items() if name != "attention_mask"}
        ids = arrays.pop("input_ids")[0].tolist()
        return Request(id=row, prompt_ids=ids, tensors=with_levels(arrays, self._image_processor), group=row)


def _prompt(processor: ProcessorMixin) -> str:
    """By the chat template of the model, where it has one."""
    if processor.chat_template is None:
        return f"{getattr(processor, 'image_token', '<image>')} {QUESTION}"
    content = [{"type": "image"}, {"type": "text", "text": QUESTION}]
    render = cast("Callable[..., str]", processor.apply_chat_template)
    return render([{"role": "user", "content": content}], add_generation_prompt=True)


def _decoded(jpeg: bytes) -> Image.Image:
    with Image.open(io.BytesIO(jpeg)) as image:
        return image.convert("RGB")
