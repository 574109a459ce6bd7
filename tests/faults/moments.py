"""Which of the moments of a run a test tries: some in the gate, from a place of its own for each case; every night all.

`.ci/nightly` says so; nobody else does.
"""

import os

ALL = bool(os.environ.get("EVERY_NIGHT"))


def some_of(num_moments: int, *, every: int, first: int) -> range:
    """Of the moments 1 to `num_moments` each `every`th, from the `first`th on."""
    return range(1, num_moments + 1) if ALL else range(1 + (first - 1) % every, num_moments + 1, every)


def step(every: int) -> int:
    """The same for who does not know how many there are: from one to the next."""
    return 1 if ALL else every
