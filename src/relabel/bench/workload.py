"""What every contender is given: prompts of random tokens, what ends a row, and how long it may become.

The same seed gives the same work to all that are compared. Plain Python: knows nothing of models or engines.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Generic, TypeVar

from relabel.errors import SpecError

RAGGED = "ragged"
FIXED = {"300/50": (300, 50), "128/128": (128, 128)}
"""Prompt tokens and new tokens of every row."""
IMAGES = {"images": 1, "images/4": 4}
"""Texts of each image: one that is greedy, or some that are drawn."""
NAMES = (RAGGED, *FIXED, *IMAGES)
MAX_NEW_TOKENS = 64
NEVER = 2**31 - 1
"""A stop token beyond every vocabulary: with an empty list all contenders would take the checkpoint's own."""
Prompt = TypeVar("Prompt")
"""Token ids, or an image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload(Generic[Prompt]):
    """One list of prompts and how their rows end."""

    name: str
    prompts: list[Prompt]
    stop: list[int]
    new_tokens: int
    """The most a row may have."""


def make_workload(name: str, num_rows: int, vocab_size: int, seed: int = 0) -> Workload[list[int]]:
    """The ragged workload, or one whose rows are all of one shape."""
    rng = random.Random(seed)
    if name == RAGGED:
        return _ragged(rng, num_rows, vocab_size)
    if name not in FIXED:
        raise SpecError(f"workload {name!r} is not known; use one of {', '.join(NAMES)}")
    prompt_tokens, new_tokens = FIXED[name]
    prompts = [[rng.randrange(4, vocab_size) for _ in range(prompt_tokens)] for _ in range(num_rows)]
    return Workload(name=name, prompts=prompts, stop=[NEVER], new_tokens=new_tokens)


def draw_stops(rng: random.Random, vocab_size: int) -> list[int]:
    """5 % of the vocabulary."""
    return sorted(rng.sample(range(4, vocab_size), vocab_size // 20))


def _ragged(rng: random.Random, num_rows: int, vocab_size: int) -> Workload[list[int]]:
    """Prompts of 8 to 95 tokens; 5 % of the vocabulary ends a row.

    With the small built-in model texts have a natural, ragged length: about 19 tokens in the mean, many of 2 to 10 and
    a few at the cap of 64.
    """
    prompts = [[rng.randrange(4, vocab_size) for _ in range(rng.randrange(8, 96))] for _ in range(num_rows)]
    return Workload(name=RAGGED, prompts=prompts, stop=draw_stops(rng, vocab_size), new_tokens=MAX_NEW_TOKENS)
