import pytest
from hypothesis import given
from hypothesis import strategies as st

from relabel.data.labels import parsers
from relabel.spec import Label
from tests.data.labels.parsing import LABELS, taken


@pytest.mark.parametrize("label", LABELS.values(), ids=LABELS)
@pytest.mark.parametrize("text", ["", " \n\t", "\u2003"])
def test_nothing_written_is_a_reject(text, label):
    assert taken(text, label) == "parse: the model wrote nothing"


def test_text_is_the_whole_text_stripped():
    assert taken("\n a red\nsquare  ", Label(column="caption")) == {"caption": "a red\nsquare"}


def test_last_line_is_the_last_line_that_is_not_blank():
    assert taken("Let me think.\nA red square. \n\n", Label(parse="last_line")) == {"label": "A red square."}


@given(st.text(), st.sampled_from([Label(), Label(parse="last_line")]))
def test_any_text_is_a_label_or_a_reject(text, label):
    found = taken(text, label)
    if text.strip():
        assert found["label"]
        assert found["label"] == found["label"].strip()
        assert found["label"] in text
    else:
        assert found == "parse: the model wrote nothing"


@pytest.mark.parametrize(
    ("text", "pattern", "found"),
    [
        ("The size is 12 mm.", r"\d+", {"label": "12"}),
        (
            "width: 12mm",
            r"(?P<name>\w+): (?P<value>\d+)(?P<unit>mm|cm)?",
            {"name": "width", "value": "12", "unit": "mm"},
        ),
        ("width: 12", r"(?P<name>\w+): (?P<value>\d+)(?P<unit>mm|cm)?", {"name": "width", "value": "12", "unit": None}),
        ("ab", r"a|ab", {"label": "ab"}),  # the whole text comes before the first match in it
        (" 5 \n", r"\d", {"label": "5"}),
        ("no number", r"\d+", "parse: the pattern matches nothing"),
    ],
)
def test_a_pattern_takes_its_groups_or_its_whole_match(text, pattern, found):
    assert taken(text, Label(parse="regex", pattern=pattern, constrain=False)) == found


def test_a_pattern_that_takes_for_ever_is_given_up():
    reason = taken("a" * 100_000 + "b", Label(parse="regex", pattern=r"(a+)+$"))
    assert reason == f"parse: the pattern took more than {parsers.PATTERN_SECONDS} s"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Not sure", "Not sure"),
        ("I looked at it.\nyes\n", "yes"),
        ("YES", "yes"),
        ('"No."', "no"),
        ("**not sure**", "Not sure"),
        ("It has a tail, so:\n**Yes!**", "yes"),
        ("+", "+"),
        ("5*", "5*"),
        ("5", "5*"),
    ],
)
def test_a_choice_is_told_from_the_text_or_its_last_line(text, found):
    assert taken(text, LABELS["choice"]) == {"label": found}


@pytest.mark.parametrize("text", ["maybe", "yes and no", "yes\nbecause I say so", "y", "?", "notsure"])
def test_what_is_no_choice_is_a_reject(text):
    assert taken(text, LABELS["choice"]) == "parse: none of the choices"


def test_a_choice_that_is_equal_to_another_but_for_case_must_be_exact():
    label = Label(parse="choice", choices=["US", "us", "them", "?", "C", "C++"])
    assert taken("us", label) == {"label": "us"}
    assert taken('"us"', label) == "parse: none of the choices"
    assert taken("Us", label) == "parse: none of the choices"
    assert taken("!", label) == "parse: none of the choices", "a mark is not the choice ?"
    assert taken("c++.", label) == {"label": "C++"}
