"""What the embedded model learns from: endless batches of examples of each task, made up from a random generator.

Knows scenes, noise and prompts; knows nothing of tokens or tensors.
"""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable, Iterator

from PIL import Image

from relabel.demo import CAPTION_PROMPT, JSON_PROMPT, REWRITE_PROMPT
from relabel.demo.drawing import draw
from relabel.demo.noise import noisy
from relabel.demo.scene import Scene, random_scene

Example = tuple[Image.Image | None, str, str]
"""Image, text of the prompt, answer."""

BATCH = 32
WINDOW = 8
"""Batches of noisy texts, or of records, that are drawn together and sorted by length: a third less padding."""


def caption_example(rng: random.Random) -> Example:
    """A drawn scene and its caption."""
    scene = random_scene(rng)
    return _picture(scene, rng), CAPTION_PROMPT, scene.caption


def rewrite_example(rng: random.Random) -> Example:
    """A noisy alt text and what it says."""
    caption = random_scene(rng).caption
    return None, REWRITE_PROMPT.replace("{{ alt_text }}", noisy(caption, rng)), caption


def json_example(rng: random.Random) -> Example:
    """A drawn scene and its record."""
    scene = random_scene(rng)
    return _picture(scene, rng), JSON_PROMPT, json.dumps(scene.record)


def caption_batches(rng: random.Random) -> Iterator[list[Example]]:
    while True:
        yield [caption_example(rng) for _ in range(BATCH)]


def rewrite_batches(rng: random.Random) -> Iterator[list[Example]]:
    return _sorted_batches(rewrite_example, rng, lambda example: len(example[1]))


def json_batches(rng: random.Random) -> Iterator[list[Example]]:
    return _sorted_batches(json_example, rng, lambda example: len(example[2]))


def tokenizer_texts(rng: random.Random) -> Iterator[str]:
    """Two clean captions for one noisy one, so that each word of a caption becomes one token."""
    for _ in range(3000):
        caption = random_scene(rng).caption
        yield from (caption, caption, noisy(caption, rng), CAPTION_PROMPT, REWRITE_PROMPT.partition(" {{")[0])


def _picture(scene: Scene, rng: random.Random) -> Image.Image:
    """The scene as the dataset stores it: of several sizes, half of them through JPEG."""
    image = draw(scene, side=rng.choice((64, 96, 128)))
    if rng.random() < 0.5:
        encoded = io.BytesIO()
        image.save(encoded, "JPEG", quality=90)
        image = Image.open(encoded).convert("RGB")
    return image


def _sorted_batches(
    make: Callable[[random.Random], Example], rng: random.Random, length: Callable[[Example], int]
) -> Iterator[list[Example]]:
    while True:
        window = sorted((make(rng) for _ in range(BATCH * WINDOW)), key=length)
        batches = [window[first : first + BATCH] for first in range(0, len(window), BATCH)]
        rng.shuffle(batches)
        yield from batches


TASKS = {"caption": caption_example, "rewrite": rewrite_example, "json": json_example}
BATCHES = {"caption": caption_batches, "rewrite": rewrite_batches, "json": json_batches}
