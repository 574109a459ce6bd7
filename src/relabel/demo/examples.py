"""What the embedded model learns from: endless batches of examples of both tasks, made up from a random generator.

Knows scenes, noise and prompts; knows nothing of tokens or tensors.
"""

from __future__ import annotations

import io
import random
from collections.abc import Iterator

from PIL import Image

from relabel.demo import CAPTION_PROMPT, REWRITE_PROMPT
from relabel.demo.noise import noisy
from relabel.demo.scene import draw, random_scene

Example = tuple[Image.Image | None, str, str]
"""Image, text of the prompt, answer."""

BATCH = 32
WINDOW = 8
"""Batches of noisy texts that are drawn together and sorted by length: a third less padding."""


def caption_example(rng: random.Random) -> Example:
    """A drawn scene as the dataset stores it: of several sizes, half of them through JPEG."""
    scene = random_scene(rng)
    image = draw(scene, side=rng.choice((64, 96, 128)))
    if rng.random() < 0.5:
        encoded = io.BytesIO()
        image.save(encoded, "JPEG", quality=90)
        image = Image.open(encoded).convert("RGB")
    return image, CAPTION_PROMPT, scene.caption


def rewrite_example(rng: random.Random) -> Example:
    """A noisy alt text and what it says."""
    caption = random_scene(rng).caption
    return None, REWRITE_PROMPT.replace("{{ alt_text }}", noisy(caption, rng)), caption


def caption_batches(rng: random.Random) -> Iterator[list[Example]]:
    while True:
        yield [caption_example(rng) for _ in range(BATCH)]


def rewrite_batches(rng: random.Random) -> Iterator[list[Example]]:
    while True:
        window = sorted((rewrite_example(rng) for _ in range(BATCH * WINDOW)), key=lambda example: len(example[1]))
        batches = [window[first : first + BATCH] for first in range(0, len(window), BATCH)]
        rng.shuffle(batches)
        yield from batches


def tokenizer_texts(rng: random.Random) -> Iterator[str]:
    """Two clean captions for one noisy one, so that each word of a caption becomes one token."""
    for _ in range(3000):
        caption = random_scene(rng).caption
        yield from (caption, caption, noisy(caption, rng), CAPTION_PROMPT, REWRITE_PROMPT.partition(" {{")[0])


TASKS = {"caption": caption_example, "rewrite": rewrite_example}
