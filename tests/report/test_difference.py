"""Word by word, what of two texts stands in one of them alone."""

import pytest

from relabel.report.difference import difference


def marked(pieces):
    """The pieces as one text, with marks around those of this text alone."""
    return "".join(f"[{text}]" if is_own else text for is_own, text in pieces)


@pytest.mark.parametrize(
    ("old", "new", "marked_old", "marked_new"),
    [
        ("a red cat", "a red cat", "a red cat", "a red cat"),
        ("a red cat", "a blue cat", "a[ red] cat", "a[ blue] cat"),
        ("a  red\ncat ", "a red cat", "a  red\ncat[ ]", "a red cat"),
        ("the big red cat sat", "the small blue cat sat", "the[ big red] cat sat", "the[ small blue] cat sat"),
        ("a cat", "a cat.", "a cat", "a cat[.]"),
        ("红色的猫", "蓝色的猫", "[红]色的猫", "[蓝]色的猫"),
        ("un café noir", "un café", "un café[ noir]", "un café"),
    ],
)
def test_what_is_not_in_the_other_text_is_marked(old, new, marked_old, marked_new):
    olds, news = difference(old, new)
    assert (marked(olds), marked(news)) == (marked_old, marked_new)
    assert ("".join(text for _, text in olds), "".join(text for _, text in news)) == (old, new)


def test_texts_with_little_in_common_are_not_marked():
    assert difference("IMG_2034.jpg", "A cat sleeps on a chair.") == (None, None)


def test_a_loop_is_not_compared_with_a_loop():
    """It took minutes: each of its words is in each place of the other."""
    assert difference("ha " * 1000, "ha ho " * 1000) == (None, None)
