"""The common workload: prompts of 8 to 95 random tokens; about 5 % of the vocabulary ends a row.

With the weights of `bench_model.py` outputs have a natural, ragged length: about 19 tokens in the mean, many of 2 to 10
and a few at the cap of 64. The same seed gives the same work to every engine that is compared.
"""

from __future__ import annotations

import random

VOCAB_SIZE = 8192
MAX_NEW_TOKENS = 64


def make_workload(num_rows: int = 256, seed: int = 0) -> tuple[list[list[int]], list[int]]:
    """Prompts as token ids, and the token ids that end a row."""
    rng = random.Random(seed)
    prompts = [[rng.randrange(4, VOCAB_SIZE) for _ in range(rng.randrange(8, 96))] for _ in range(num_rows)]
    return prompts, sorted(rng.sample(range(4, VOCAB_SIZE), VOCAB_SIZE // 20))
