"""A fixed conversation with images of the largest size, encoded: what cannot be done is refused before any row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from relabel.data.prompts.template import MAX_PROMPT_CHARACTERS
from relabel.engine.model.processor import within
from relabel.errors import ModelRefused
from relabel.job.encoding.chat_template import FAILS
from relabel.job.encoding.conversation import PromptSource
from relabel.job.encoding.tokenize import PromptTokenizer
from relabel.spec import Model

PROBE_SECONDS = 20.0
"""A chat template that takes longer for one word has a loop without end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What the largest prompt without text of a row takes."""

    image_place: str
    """What stands in a rendered prompt for each of its images; empty where only the processor knows."""
    num_tokens: int
    row_bytes: int
    """Bytes of the tensors; 0 without images. The number of images in a chat is known of none: one is counted."""


def probe(tokenizer: PromptTokenizer, source: PromptSource, model: Model, seconds: float = PROBE_SECONDS) -> Probe:
    """Raises ModelRefused where the model takes no prompt of this shape."""
    parts = [part for message in source.example for part in message.parts]
    images = [_noise(model.image_pixels)] * parts.count(None)
    try:
        text = within(seconds, lambda: tokenizer.renderer(source.example, {}))
        if len(text) > MAX_PROMPT_CHARACTERS:
            raise ValueError(f"its chat template makes {len(text)} characters of one word")
        if lost := tokenizer.control.foreign(text):
            raise ValueError(f"it cannot be told where its chat template takes {lost[0]!r} from")
        place = tokenizer.image_place(text) if images else ""
        encoded = tokenizer.tokenize(text, images, place)
    except FAILS as error:
        why = " ".join(str(error).split())[:300] or type(error).__name__
        raise ModelRefused(f"{model.path} cannot take such a prompt: {why}") from error
    num_bytes = sum(tensor.nbytes for tensor in encoded.tensors.values())
    return Probe(image_place=place, num_tokens=len(encoded.prompt_ids), row_bytes=num_bytes)


def _noise(num_pixels: int) -> Image.Image:
    side = max(1, int(num_pixels**0.5))
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8))
