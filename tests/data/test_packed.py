import pytest
from hypothesis import given
from hypothesis import strategies as st

from relabel.data.packed import pack, unpack


@given(st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 300), max_size=50))
def test_numbers_come_back(numbers):
    assert unpack(pack(numbers), 50) == numbers


def test_small_numbers_are_short():
    assert len(pack([1] * 256)) < 30
    assert pack([255])[0] == "1"
    assert pack([256])[0] == "2"


@pytest.mark.parametrize(
    "text", [None, 7, "", "1", "3AAAA", "1?", "1AAAA", pack([1])[:-4], pack([1, 2, 3]), "2" + pack([1])[1:]]
)
def test_what_is_not_packed_is_refused(text):
    with pytest.raises(ValueError):
        unpack(text, 2)


def test_a_bomb_is_not_unpacked():
    with pytest.raises(ValueError, match="another size"):
        unpack(pack([0] * 300_000), 256)
