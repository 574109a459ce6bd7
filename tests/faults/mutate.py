"""Seeded damage to a file's bytes, as disks, networks and people do it. Knows nothing of formats."""

import random


def mutated(content: bytes, seed: int) -> bytes:
    """The content after one to three blows; the same seed gives the same damage."""
    rng = random.Random(seed)
    damaged = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 3))):
        rng.choice(BLOWS)(damaged, rng)
    return bytes(damaged)


def flipped(content: bytes, seed: int) -> bytes:
    """The content with one bit flipped: little enough for most parsers to go on."""
    rng = random.Random(seed)
    damaged = bytearray(content)
    damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def _range(content, rng):
    first = rng.randint(0, len(content))
    return first, min(len(content), first + rng.choice((1, 4, 64, 1024)))


def flip(content, rng):
    for _ in range(rng.randint(1, 8)):
        if content:
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)


def cut(content, rng):
    del content[rng.randint(0, len(content)) :]


def insert(content, rng):
    at = rng.randint(0, len(content))
    content[at:at] = rng.randbytes(rng.choice((1, 3, 512)))


def duplicate(content, rng):
    first, end = _range(content, rng)
    content[end:end] = content[first:end]


def swap(content, rng):
    (a, a_end), (b, b_end) = sorted((_range(content, rng), _range(content, rng)))
    if a_end <= b:
        content[:] = content[:a] + content[b:b_end] + content[a_end:b] + content[a:a_end] + content[b_end:]


def zero(content, rng):
    first, end = _range(content, rng)
    content[first:end] = bytes(end - first)


BLOWS = (flip, cut, insert, duplicate, swap, zero)
