"""Models that lay out pixels and features in ways of their own, and rows with none, one and two images for them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from transformers import (
    CLIPVisionConfig,
    GemmaConfig,
    InternVLConfig,
    InternVLForConditionalGeneration,
    InternVLVisionConfig,
    LlamaConfig,
    LlavaNextConfig,
    LlavaNextForConditionalGeneration,
    Mistral3Config,
    Mistral3ForConditionalGeneration,
    MistralConfig,
    PaliGemmaConfig,
    PaliGemmaForConditionalGeneration,
    PixtralVisionConfig,
    SiglipVisionConfig,
)

from relabel.engine import Request
from tests.engine import inputs
from tests.engine.models import IMAGE, TEXT, VISION, build

Picture = tuple[int, dict[str, np.ndarray]]
"""Its tokens and its tensors."""
LLAMA = {**LlamaConfig(**TEXT).to_dict(), "model_type": "llama"}
NARROW: dict[str, Any] = {name: size for name, size in VISION.items() if name not in ("image_size", "patch_size")}


def internvl() -> Any:
    vision = InternVLVisionConfig(**NARROW, image_size=[28, 28], patch_size=[7, 7], use_mean_pooling=False)
    config = InternVLConfig(
        vision_config=vision, text_config=LLAMA, image_token_id=IMAGE, image_seq_length=4, downsample_ratio=0.5
    )
    return build(InternVLForConditionalGeneration, config)


def mistral3() -> Any:
    """Pictures of different sizes are padded, and each tells its own."""
    vision = PixtralVisionConfig(**NARROW, image_size=56, patch_size=7, head_dim=8)
    text = {**MistralConfig(**TEXT).to_dict(), "model_type": "mistral"}
    config = Mistral3Config(vision_config=vision, text_config=text, image_token_id=IMAGE)
    return build(Mistral3ForConditionalGeneration, config)


def llava_next() -> Any:
    """Tiles, of which a picture has as many as its shape asks for."""
    config = LlavaNextConfig(
        vision_config=CLIPVisionConfig(**VISION, projection_dim=32),
        text_config=LlamaConfig(**TEXT),
        image_token_id=IMAGE,
        vision_feature_layer=-1,
        image_grid_pinpoints=[[28, 56], [56, 28], [56, 56]],
    )
    return build(LlavaNextForConditionalGeneration, config)


def paligemma() -> Any:
    """All tokens of a prompt see each other."""
    config = PaliGemmaConfig(
        vision_config=SiglipVisionConfig(**VISION, projection_dim=32, vision_use_head=False),
        text_config={**GemmaConfig(**TEXT, head_dim=8).to_dict(), "model_type": "gemma"},
        image_token_id=IMAGE,
        projection_dim=32,
    )
    return build(PaliGemmaForConditionalGeneration, config)


def paligemma_requests() -> list[Request]:
    return [
        replace(one, tensors={**one.tensors, "token_type_ids": np.zeros((1, len(one.prompt_ids)), dtype=np.int64)})
        for one in inputs.llava_requests()
    ]


def internvl_requests() -> list[Request]:
    rng = np.random.default_rng(1)
    return _requests(lambda: (4, {"pixel_values": rng.standard_normal((1, 3, 28, 28), dtype=np.float32)}))


def mistral3_requests() -> list[Request]:
    rng, sizes = np.random.default_rng(1), itertools.cycle([(28, 56), (56, 28), (28, 28)])

    def make() -> Picture:
        height, width = next(sizes)
        pixels = rng.standard_normal((1, 3, height, width), dtype=np.float32)
        return height * width // 14**2, {"pixel_values": pixels, "image_sizes": np.array([[height, width]])}

    return _requests(make)


def llava_next_requests() -> list[Request]:
    rng, sizes, model = np.random.default_rng(1), itertools.cycle([(28, 56), (56, 28), (50, 50)]), llava_next()

    def make() -> Picture:
        size = next(sizes)
        pixels = rng.standard_normal((1, 5, 3, 28, 28), dtype=np.float32)
        pixels[:, 5 if size == (50, 50) else 3 :] = 0
        tensors = {"pixel_values": pixels, "image_sizes": np.array([size])}
        with torch.no_grad():
            seen = model.get_image_features(**{name: torch.from_numpy(array) for name, array in tensors.items()})
        return len(seen.pooler_output[0]), tensors

    return _requests(make)


def _requests(make: Callable[[], Picture]) -> list[Request]:
    requests = []
    for row, (num_images, text) in enumerate(zip(inputs.IMAGES_PER_ROW, inputs.prompts(10, seed=2), strict=True)):
        pictures = [make() for _ in range(num_images)]
        ids = [text[0], *[IMAGE] * sum(tokens for tokens, _ in pictures), *text[1:]]
        requests.append(Request(id=row, prompt_ids=ids, tensors=_together([tensors for _, tensors in pictures])))
    return requests


def _together(pictures: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Those of one row, padded to the largest as a processor does."""
    together = {}
    for name in pictures[0] if pictures else ():
        arrays = [tensors[name] for tensors in pictures]
        largest = np.max([array.shape for array in arrays], axis=0)
        padded = [np.pad(array, [(0, missing) for missing in largest - array.shape]) for array in arrays]
        together[name] = np.concatenate(padded)
    return together
