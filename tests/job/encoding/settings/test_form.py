"""What a row holds its texts to, under each of the names that it may have."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relabel import make_spec
from relabel.engine import Constraint
from relabel.errors import RowRejected
from relabel.job.encoding.settings.form import Form
from relabel.job.encoding.settings.own import check_settings, read_settings
from tests.job.encoding.settings.asked import SCHEMA, query

NAMES = ["guided_json", "guided_regex", "guided_choice", "structured_outputs", "response_format"]


def spec():
    return query(sampling={"stop": ["x"], "min_new_tokens": 2})


def held(settings):
    own = read_settings(json.dumps(settings))
    check_settings(own, spec())
    sampling = own.over(spec())
    if sampling.constraint is not None:
        assert (sampling.stop_strings, sampling.min_new_tokens) == ((), 0), "its texts end by themselves"
    return sampling.constraint


def reason(settings):
    with pytest.raises(RowRejected) as rejected:
        check_settings(read_settings(json.dumps(settings)), spec())
    return str(rejected.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"guided_json": SCHEMA},
        {"guided_json": json.dumps(SCHEMA)},
        {"structured_outputs": {"json": SCHEMA, "regex": None, "disable_any_whitespace": True}},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": SCHEMA}}},
        {"response_format": {"type": "json_object", "schema": SCHEMA}},
        {"response_format": {"type": "json", "value": SCHEMA}},
    ],
)
def test_a_json_schema_under_each_of_its_names(settings):
    assert held(settings) == Constraint(kind="json", value=json.dumps(SCHEMA))


@pytest.mark.parametrize(
    "settings", [{"response_format": {"type": "json_object"}}, {"structured_outputs": {"json_object": True}}]
)
def test_any_object_under_each_of_its_names(settings):
    assert held(settings) == Constraint(kind="json", value='{"type": "object"}')


@pytest.mark.parametrize(
    "settings",
    [
        {"guided_regex": r"^\d{3}-[a-z]+$"},
        {"structured_outputs": {"regex": r"^\d{3}-[a-z]+$", "json_object": False}},
        {"response_format": {"type": "regex", "pattern": r"^\d{3}-[a-z]+$"}},
        {"response_format": {"type": "regex", "value": r"^\d{3}-[a-z]+$"}},
    ],
)
def test_an_expression_under_each_of_its_names(settings):
    assert held(settings) == Constraint(kind="regex", value=r"^\d{3}-[a-z]+$")


@pytest.mark.parametrize(
    "settings", [{"guided_choice": ["yes", "no", "yes"]}, {"structured_outputs": {"choice": ["yes", "no"]}}]
)
def test_choices_under_each_of_their_names(settings):
    assert held(settings) == Constraint(kind="choice", value='["yes", "no"]')


@pytest.mark.parametrize("settings", [{"structured_outputs": {}}, {"response_format": {"type": "text"}}, {}])
def test_free_text(settings):
    assert held(settings) is None


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"guided_json": "{"}, "guided_json has no JSON schema"),
        ({"guided_json": "[]"}, "guided_json has no JSON schema"),
        ({"guided_json": {"type": "secret"}}, "guided_json has a JSON schema that texts cannot be held to"),
        ({"guided_regex": "(secret"}, "guided_regex has a regular expression that texts cannot be held to"),
        ({"guided_regex": ""}, "guided_regex has a regular expression that texts cannot be held to"),
        ({"guided_regex": r"(?<=secret)a"}, "guided_regex has a regular expression that texts cannot be held to"),
        ({"guided_regex": "a" * 50_001}, "guided_regex has a regular expression of 50001 characters, limit 50000"),
        ({"guided_regex": 5}, "guided_regex is out of range, or of another kind than the API's"),
        ({"guided_choice": []}, "guided_choice has no choices"),
        ({"guided_choice": ["secret", 5]}, "guided_choice is out of range, or of another kind than the API's"),
        ({"guided_choice": ["secret", ""]}, "guided_choice has a choice that is empty, or has spaces around it"),
        ({"guided_choice": ["x" * 50_000]}, "guided_choice has choices of 50004 characters, limit 50000"),
        ({"structured_outputs": {"choice": [5]}}, "structured_outputs has no choices"),
        ({"structured_outputs": {"json_object": 1}}, "structured_outputs has no JSON schema"),
        ({"structured_outputs": {"grammar": "secret"}}, "structured_outputs with grammar is not supported"),
        ({"structured_outputs": {"json": {}, "whitespace_pattern": "x"}}, "structured_outputs with whitespace_pattern"),
        ({"structured_outputs": {"a secret": 1}}, "structured_outputs with a key is not supported"),
        ({"structured_outputs": {"json": {}, "regex": "a"}}, "structured_outputs has both json and regex"),
        ({"guided_json": {}, "guided_regex": "a"}, "guided_json does not go with guided_regex: a text has one format"),
        (
            {"guided_choice": ["a"], "response_format": {"type": "json_object"}},
            "guided_choice does not go with response_format: a text has one format",
        ),
        ({"guided_choice": ["a"], "stop": "x"}, "stop does not go with guided_choice, whose texts end by themselves"),
        ({"response_format": {"type": "structural_tag"}}, "response_format is neither text, json_object, json_schema"),
    ],
)
def test_what_cannot_be_obeyed_is_named_and_never_quoted(settings, why):
    said = reason(settings)
    assert said.startswith(f"settings: {why}")
    assert "secret" not in said


@pytest.mark.parametrize("settings", [{"guided_choice": ["a"]}, {"guided_regex": "a"}])
def test_a_label_with_a_format_of_its_own_takes_no_other(settings):
    fields = {"source": {"path": "x", "format": "openai"}, "model": {"path": "m"}, "output": {"path": "o"}}
    held = make_spec({**fields, "label": {"parse": "choice", "choices": ["a", "b"]}}).queries[0]
    with pytest.raises(RowRejected, match=f"{next(iter(settings))} does not go with a label that is held to its own"):
        check_settings(read_settings(json.dumps(settings)), held)


@pytest.mark.parametrize(
    ("kind", "value", "text", "bare"),
    [
        ("choice", '["a b"]', " a b", "a b"),
        ("json", "{}", ' {"a": 1}', '{"a": 1}'),
        ("regex", "a+", " aa", "aa"),
        ("regex", " a+", " aa", " aa"),
        ("regex", " a+", "  aa", " aa"),
        ("regex", "a{9}", " aa", " aa"),
        ("regex", "a+", "aa", "aa"),
    ],
)
def test_the_space_before_a_text_is_no_part_of_it(kind, value, text, bare):
    assert Form(name="x", kind=kind, value=value).of_text(text) == bare


def is_refused(settings):
    """Whether settings are rejected with a reason; anything else that is raised fails the test."""
    try:
        held(settings)
    except RowRejected as error:
        return str(error).startswith("settings: ") or pytest.fail(str(error))
    return False


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "json", "regex", "choice", "value", "pattern", "schema"]), inner)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*NAMES, "extra_body"]), VALUES, max_size=2))
def test_any_fields_are_a_form_or_a_reject(settings):
    if not is_refused(settings):
        form = held(settings)
        assert form is None or form.grammar()
