"""The pixels of a row, as the CPU stages made them, in the form in which vLLM hands them to its model.

vLLM's own processor would run once more, on the GPU's process, and take ids that stand for an image for new ones. Knows
layouts of tensors; nothing of files or prompts.
"""

# pyright: reportMissingImports=false
from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
import torch
from transformers import BatchFeature
from vllm.inputs.engine import mm_input, tokens_input
from vllm.multimodal import MULTIMODAL_REGISTRY
from vllm.multimodal.inputs import MultiModalKwargsItems, PlaceholderRange

from relabel.engine.api.request import Request
from relabel.engine.model.collate import PER_TOKEN
from relabel.engine.model.pixels import dequantise
from relabel.errors import RowRejected
from relabel.rejected import Code

Span = tuple[int, int]
"""First index and length of a run of ids that stand for one image."""


class Inputs:
    """Makes vLLM's inputs of prompts. Raises RowRejected (prompt) where a row's images cannot be handed over."""

    def __init__(self, model_config: Any) -> None:
        self._model_config = model_config
        config = model_config.hf_config
        tokens = (getattr(config, name, None) for name in ("image_token_id", "image_token_index"))
        self._image_token = next((token for token in tokens if token is not None), None)
        self._processor: Any = None

    @property
    def image_token(self) -> int | None:
        """The id that stands for a piece of an image; None where the model's config names none."""
        return self._image_token

    def of(self, request: Request, behind: Sequence[int] = ()) -> Any:
        """What vLLM takes in place of the prompt, with more tokens behind it."""
        ids = [*map(int, request.prompt_ids), *map(int, behind)]
        tensors = {name: value for name, value in request.tensors.items() if name not in PER_TOKEN}
        if not tensors:
            return tokens_input(ids)
        if self._image_token is None or not self._model_config.is_multimodal_model:
            raise RowRejected(Code.PROMPT, "vLLM takes no images for this model")
        found = {name: torch.as_tensor(np.ascontiguousarray(value)) for name, value in tensors.items()}
        if (norm := found.pop("pixel_norm", None)) is not None:
            found["pixel_values"] = dequantise(found["pixel_values"], norm)
        items = self._items(found)
        name = _digest(tensors)
        places = {"image": placeholders(ids, self._image_token, len(items["image"]))}
        hashes = {"image": [f"{name}-{at}" for at in range(len(items["image"]))]}
        return mm_input(ids, items, hashes, places)

    def _items(self, tensors: dict[str, torch.Tensor]) -> MultiModalKwargsItems:
        if self._processor is None:
            self._processor = MULTIMODAL_REGISTRY.create_processor(self._model_config)
        batch = BatchFeature(tensors)
        # the one place where vLLM says how the tensors of each model are divided into images
        layout = self._processor._get_mm_fields_config(batch, {})
        items = MultiModalKwargsItems.from_hf_inputs(batch, layout)
        if "image" not in items:
            raise RowRejected(Code.PROMPT, "vLLM finds no image in what the processor made")
        return items


def placeholders(ids: Sequence[int], image_token: int, num_images: int) -> list[PlaceholderRange]:
    """Where each image stands. Raises RowRejected (prompt) where that cannot be told."""
    runs = spans(ids, image_token)
    if len(runs) == num_images:
        return [PlaceholderRange(offset=first, length=length) for first, length in runs]
    if num_images != 1 or not runs:
        raise RowRejected(
            Code.PROMPT, f"vLLM is not told where {num_images} images are whose tokens stand in {len(runs)} places"
        )
    first = runs[0][0]  # rows of one image with tokens between
    length = runs[-1][0] + runs[-1][1] - first
    is_embed = torch.tensor([token == image_token for token in ids[first : first + length]])
    return [PlaceholderRange(offset=first, length=length, is_embed=is_embed)]


def spans(ids: Sequence[int], token: int) -> list[Span]:
    """The runs of a token, in order."""
    found: list[Span] = []
    for at, id in enumerate(ids):
        if id != token:
            continue
        if found and sum(found[-1]) == at:
            found[-1] = (found[-1][0], found[-1][1] + 1)
        else:
            found.append((at, 1))
    return found


def _digest(tensors: dict[str, np.ndarray]) -> str:
    """Tells images from others: rows of one group share what their prompts begin with, images included."""
    digest = blake2b(digest_size=16)
    for name in sorted(tensors):
        value = np.ascontiguousarray(tensors[name])
        digest.update(f"{name} {value.dtype} {value.shape} ".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()
