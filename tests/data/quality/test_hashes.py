from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relabel.data.quality.hashes import Hashes

SETS = st.lists(st.sets(st.integers(0, 50) | st.integers(0, 2**64 - 1)), max_size=6)


@given(SETS, st.integers(0, 2**64), st.integers(0, 40))
def test_those_of_several_parts_are_counted_together(sets, bound, number):
    counts = Counter(hash for one in sets for hash in one)
    found = Hashes.together(map(Hashes.of, sets))
    assert list(found.items()) == sorted(counts.items())
    assert list(found.below(bound)) == [hash for hash in sorted(counts) if hash < bound]
    assert list(found.first(number)) == sorted(counts)[:number]
    assert found == Hashes.together([Hashes.of(()), found]) != Hashes.together([found, Hashes.of([3])])


@pytest.mark.parametrize(("hashes", "counts"), [([2, 1], None), ([1, 1], None), ([1, 2], [1])])
def test_what_no_sample_looks_like_is_refused(hashes, counts):
    with pytest.raises(ValueError, match="not in order"):
        Hashes(np.array(hashes, np.uint64), counts and np.array(counts))


def test_a_hash_that_is_not_there_is_no_key():
    found = Hashes.of([5, 9])
    assert (found[9], 5 in found, 7 in found, 10 in found) == (1, True, False, False)
