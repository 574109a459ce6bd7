import random

import pytest

from relabel.data.quality.flaws import refuses, repeats


@pytest.mark.parametrize(
    "text",
    [
        "the cat sat on the mat. " * 5,
        "A dog runs " + "and the dog " * 9 + "and th",
        "The man is wearing a hat and holding a cup of coffee. " * 3,
        "I like it" + " very" * 30 + " much.",
        "!" * 64,
        "ha" * 20,
        "一只红色的猫坐在地上。" * 6,
        "猫" * 40,
    ],
)
def test_a_text_that_loops_to_its_end_or_over_most_of_it_repeats(text):
    assert repeats(text.strip())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a red circle, a red square, a red star",
        "a red circle, a red circle, a red circle",
        "A photo of a cat. A photo of a dog. A photo of a bird. A photo of a fish. A photo of a horse.",
        "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20",
        "红色的圆、红色的方块、红色的星星、红色的三角形、红色的心、红色的月亮",
        "Row, row, row your boat, gently down the stream. Merrily, merrily, merrily, merrily, life is but a dream.",
        "no, no, no, no, no",
        "The number is 1000000000000000000000.",
        '{"a": [0, 0, 0, 0, 0], "b": [0, 0, 0, 0, 1]}',
        "| name | age | | --- | --- | | Ann | 31 | | Bob | 32 |",
        "-" * 40 + " a rule and then a text that goes on for much longer than the rule above it did, without a loop.",
    ],
)
def test_a_list_a_refrain_and_a_short_outcry_do_not(text):
    assert not repeats(text)


@pytest.mark.parametrize("piece", ["x", "ab", "the dog ", "a red circle, ", "The dog runs through the wet grass. "])
def test_a_loop_is_found_wherever_it_was_cut_off(piece):
    for cut in range(len(piece)):
        text = "It is a picture of something. " + piece * (1 + 140 // len(piece))
        assert repeats(text[: len(text) - cut])


def test_a_text_that_could_be_a_loop_at_every_place_takes_no_time():
    rng = random.Random(1)
    assert not repeats("".join(rng.choice(["aaaaaaaab", "aaaaaaaac"]) for _ in range(20_000)))


@pytest.mark.parametrize(
    "text",
    [
        "I cannot",
        "I can't.",
        "I can't help with that.",
        "I can\u2019t identify people.",
        "I CANNOT ASSIST",
        '"I cannot provide a description."',
        "I'm sorry, but the image is dark",
        "I\u2019m sorry, I cannot see the image",
        "Sorry, but I can't do that",
        "As an AI language model, I have no eyes",
        "As an AI, I",
        "I'm just an AI",
        "Unfortunately, I cannot view the picture",
        "I apologize, but no",
        "I am unable to see images",
        "I do not have access to the picture",
    ],
)
def test_a_refusal_is_known_by_its_beginning(text):
    assert refuses(text)


@pytest.mark.parametrize(
    "text",
    [
        "I can't believe it's not butter",
        "I can't help falling in love with you",
        "I can't tell you how happy I am",
        "I cannot wait for summer",
        "I won't go there, said the child",
        "A sign says: I cannot help you",
        "As an airplane lands, people wave",
        "As an assistant coach, he ran along",
        "I'm sorry for your loss",
        "Sorry seems to be the hardest word",
        "",
    ],
)
def test_a_text_about_something_else_is_none(text):
    assert not refuses(text)
