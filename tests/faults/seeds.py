"""The seeds of all seeded damage: the same few in the gate, others every night, and always those that once failed.

`.ci/nightly` says how many and from which; nobody else does.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path

FAILED = Path(__file__).with_name("failed_seeds.json")
"""Seeds by the test that once failed with them."""
NUM_SEEDS = int(os.environ.get("FUZZ_SEEDS", "100"))
FIRST_SEED = int(os.environ.get("FUZZ_FIRST", "0"))


def seeds_of(test: str, num_seeds: int = NUM_SEEDS) -> list[int]:
    """Those that once failed the test, and `num_seeds` more."""
    failed = json.loads(FAILED.read_text()).get(test, [])
    return failed + [seed for seed in range(FIRST_SEED, FIRST_SEED + num_seeds) if seed not in failed]


def check_each(seeds: list[int], test: str, check: Callable[[int], None]) -> None:
    """Check every seed. Whatever fails is told with its seed, and where to write it down."""
    for seed in seeds:
        try:
            check(seed)
        except BaseException as error:
            error.add_note(f"That was seed {seed}: write it down for {test!r} in {FAILED}, and it is tried for ever.")
            raise
