"""Weight files of any damage: refused by the name of their folder, or an engine whose rows have texts or reasons."""

import random
import struct

import pytest

from relabel.engine import Request, model_identity
from relabel.errors import RelabelError
from tests.faults.model_folder import WEIGHTS, engine_of
from tests.faults.seeds import NUM_SEEDS, check_each, seeds_of

pytestmark = pytest.mark.fault
NUM_FILES = NUM_SEEDS * 6 // 10
"""Some of them are loaded, and each that is costs what ten files of rows cost."""


def mutated(content, rng):
    """A safetensors file with its header flipped, its end cut or a range of it zeroed."""
    header = 8 + struct.unpack("<Q", content[:8])[0]
    spoilt = bytearray(content)
    kind = rng.randrange(4)
    if kind == 0:
        for _ in range(rng.randint(1, 4)):
            spoilt[rng.randrange(header)] ^= 1 << rng.randrange(8)
    elif kind == 1:
        del spoilt[rng.randrange(len(spoilt)) :]
    elif kind == 2:
        start = rng.randrange(len(spoilt))
        spoilt[start : start + 512] = bytes(len(spoilt[start : start + 512]))
    else:  # another figure in the header, of the same length
        digits = [at for at in range(8, header) if chr(spoilt[at]).isdigit()]
        for at in rng.sample(digits, rng.randint(1, 3)):
            spoilt[at] = ord(str(rng.randrange(10)))
    return bytes(spoilt)


def test_mutated_weight_files_are_refused_or_give_an_engine(folder):
    """A flipped weight cannot be told from a right one: then there is an engine."""
    content, num_refused = (folder / WEIGHTS).read_bytes(), 0

    def check(seed):
        nonlocal num_refused
        (folder / WEIGHTS).write_bytes(mutated(content, random.Random(seed)))
        try:
            model_identity(str(folder))
            engine = engine_of(folder)
        except RelabelError as error:
            num_refused += 1
            sentence = str(error)
        else:
            result = engine.generate([Request(id=0, prompt_ids=[5, 6, 7])])[0]
            assert result.error is not None or result.finish_reason is not None
            return
        assert str(folder) in sentence

    seeds = seeds_of("weights", NUM_FILES)
    check_each(seeds, "weights", check)
    assert num_refused > len(seeds) / 2
