"""Of a text whose own characters are letters in A and whose data are letters in B, one sees what an operation lost."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relabel.data.prompts.origin import Traced, are_own, is_own, join, own, own_of, plain

OWN, DATA = "ab <", "cd\n>"
PIECES = st.lists(st.text(OWN, max_size=4).map(own) | st.text(DATA, max_size=4).map(Traced), max_size=6)
INDEX = st.none() | st.integers(-9, 9)
SHORT = st.sampled_from(["a", "ab", " ", "<", "c", "cd", "\n", ">", "<>", "ac"])
STEPS = st.one_of(
    st.tuples(st.just("__getitem__"), st.builds(slice, INDEX, INDEX, st.none() | st.sampled_from([1, 2, -1, -3]))),
    st.tuples(st.sampled_from(["strip", "lstrip", "rstrip"]), st.none() | SHORT),
    st.tuples(st.sampled_from(["removeprefix", "removesuffix"]), SHORT),
    st.tuples(st.sampled_from(["split", "rsplit"]), st.none() | SHORT, st.integers(-1, 3)),
    st.tuples(st.just("splitlines"), st.booleans()),
    st.tuples(st.sampled_from(["partition", "rpartition"]), SHORT),
    st.tuples(st.just("__mul__"), st.integers(-1, 3)),
    st.tuples(st.just("replace"), SHORT, st.just("") | st.text(OWN, max_size=3).map(own), st.integers(-1, 2)),
    st.tuples(st.just("join"), PIECES),
    st.tuples(st.just("__add__"), st.text(OWN, max_size=3).map(own)),
    st.tuples(st.just("__radd__"), st.text(DATA, max_size=3)),
)


def check(text, expected):
    """The text is that of `str`, and of its characters those of A are known for the template's, those of B are not."""
    assert isinstance(text, Traced)
    assert plain(text) == expected
    assert type(plain(text)) is str
    assert [is_own(text, at, at + 1) for at in range(len(text))] == [letter in OWN for letter in expected]
    for step in (1, 2, 3):
        places = [(at, min(at + step, len(text))) for at in range(0, len(text), step)]
        assert are_own(text, places) is all(is_own(text, *place) for place in places)
        assert [are_own(text, [place]) for place in places] == [is_own(text, *place) for place in places]
    spans = own_of(text)
    assert all(first < last for first, last in spans)
    assert all(before[1] < after[0] for before, after in pairwise(spans))


@given(PIECES, st.lists(STEPS, max_size=4))
def test_operations_give_what_those_of_str_give_and_lose_no_origin(pieces, steps):
    text = join(pieces)
    check(text, "".join(pieces))
    for name, *arguments in steps:
        expected = getattr(plain(text), name, lambda other, text=text: other + plain(text))(*arguments)
        results = getattr(text, name)(*arguments)
        if isinstance(expected, str):
            check(results, expected)
        else:
            for result, same in zip(results, expected, strict=True):
                check(result, same)
        text = results if isinstance(results, Traced) else join(results)


@given(PIECES)
def test_a_text_cut_into_its_letters_and_put_together_again(pieces):
    text = join(pieces)
    check(join(text), plain(text))
    check(join(text[at] for at in range(-len(text), 0)), plain(text))
    check(Traced("").join(list(text)), plain(text))


@given(PIECES, st.sampled_from(["lower", "upper", "title", "capitalize", "swapcase", "casefold"]))
def test_other_letters_are_those_of_the_same_text(pieces, name):
    text = join(pieces)
    changed = getattr(text, name)()
    assert plain(changed) == getattr(plain(text), name)()
    assert own_of(changed) == own_of(text)


def test_a_letter_that_becomes_two_is_data_wherever_it_stands():
    assert own_of((own("ab") + "ß").upper()) == ()
    assert own_of(own("ß").upper()) == ((0, 2),)


def test_what_a_format_writes_around_data_is_its_own():
    text = own("<%s|%s>") % ("data", own("own"))
    assert (plain(text), own_of(text)) == ("<data|own>", ((0, 1), (5, 10)))


@pytest.mark.parametrize("values", ["data", ("data",), {"a": "data"}])
def test_a_format_that_is_not_understood_writes_data(values):
    text = own("%%<%(a)s>" if isinstance(values, dict) else "%%<%-7s>") % values
    assert own_of(text) == ()
    assert "data" in text


@pytest.mark.parametrize("name", ["center", "ljust", "rjust", "zfill"])
def test_what_an_operation_does_not_carry_over_is_data(name):
    assert own_of(getattr(own("<|end|>"), name)(20)) == ()


def test_a_text_that_is_repeated_without_end_is_not_followed():
    assert own_of((own("a") + "c") * 1001) == ()
    assert own_of(own("a") * 1001) == ((0, 1001),)
    assert own_of(own("a") * 0) == ()


def test_a_text_compares_and_is_found_like_any_other():
    text = own("<image>") + " what?"
    assert text == "<image> what?"
    assert {text: 1}["<image> what?"] == 1
    assert "image" in text
    assert text.startswith("<image>")
    assert len(text) == 13
