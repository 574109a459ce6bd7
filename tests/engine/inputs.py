"""Requests for the tiny models: prompts of ragged length, with images for those that see."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from relabel.engine import Request
from tests.engine.models import IMAGE, VISION_END, VISION_START


def prompts(num_rows: int = 14, seed: int = 0, longest: int = 20) -> list[list[int]]:
    """Random tokens of ragged length, none of them special."""
    rng = np.random.default_rng(seed)
    return [rng.integers(3, 90, size=rng.integers(2, longest)).tolist() for _ in range(num_rows)]


def text_requests(num_rows: int = 14, seed: int = 0) -> list[Request]:
    return [Request(id=row, prompt_ids=ids) for row, ids in enumerate(prompts(num_rows, seed))]


IMAGES_PER_ROW = (0, 1, 2, 0, 1, 2, 1, 2, 0, 1)
"""The first row has none, which models have stumbled over."""


def llava_requests() -> list[Request]:
    return list(_image_requests(tokens_per_image=16, first_axis=False))


def smolvlm_requests() -> list[Request]:
    return list(_image_requests(tokens_per_image=4, first_axis=True))


def gemma3_requests() -> list[Request]:
    requests = list(_image_requests(tokens_per_image=4, first_axis=False))
    types = [np.array([[int(token == IMAGE) for token in request.prompt_ids]]) for request in requests]
    return [
        replace(request, tensors={**request.tensors, "token_type_ids": own})
        for request, own in zip(requests, types, strict=True)
    ]


def _image_requests(*, tokens_per_image: int, first_axis: bool) -> Iterator[Request]:
    rng = np.random.default_rng(1)
    for row, (num_images, text) in enumerate(zip(IMAGES_PER_ROW, prompts(10, seed=2), strict=True)):
        ids = [text[0], *[IMAGE] * (tokens_per_image * num_images), *text[1:]]
        pixels = rng.standard_normal((num_images, 3, 28, 28), dtype=np.float32)
        yield Request(
            id=row,
            prompt_ids=ids,
            tensors={"pixel_values": pixels[None] if first_axis else pixels} if num_images else {},
        )


def qwen2_5_vl_requests() -> list[Request]:
    rng = np.random.default_rng(1)
    grids = itertools.cycle([(1, 4, 4), (1, 4, 8), (1, 8, 4), (1, 6, 4), (1, 8, 8)])
    requests = []
    for row, (num_images, text) in enumerate(zip(IMAGES_PER_ROW, prompts(10, seed=2), strict=True)):
        ids, types, sizes = text[:1], [0], []
        for _ in range(num_images):
            sizes.append(next(grids))
            num_tokens = int(np.prod(sizes[-1])) // 4
            ids = [*ids, VISION_START, *[IMAGE] * num_tokens, VISION_END]
            types = [*types, 0, *[1] * num_tokens, 0]
        ids, types = [*ids, *text[1:]], [*types, *[0] * len(text[1:])]
        num_patches = sum(int(np.prod(size)) for size in sizes)
        tensors = {
            "pixel_values": rng.standard_normal((num_patches, 3 * 2 * 4 * 4), dtype=np.float32),
            "image_grid_thw": np.array(sizes),
            "mm_token_type_ids": np.array([types]),
        }
        requests.append(Request(id=row, prompt_ids=ids, tensors=tensors if num_images else {}))
    return requests
