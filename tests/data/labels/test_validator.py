import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from relabel.data.labels.validator import PATTERN_SECONDS, make_validator
from relabel.spec.json_schema import load_schema

SLOW = "^(a|a)+$"
"""On many a and a b, some 2**n steps in any engine."""
TEXT = "a" * 40 + "b"
DRAFT = "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"pattern": SLOW}, TEXT),
        ({"items": {"pattern": SLOW}}, [TEXT]),
        ({"patternProperties": {SLOW: {}}}, {TEXT: 1}),
        ({"additionalProperties": False, "patternProperties": {SLOW: {}}}, {TEXT: 1}),
        ({"unevaluatedProperties": False, "patternProperties": {SLOW: {}}}, {TEXT: 1}),
        ({"unevaluatedProperties": False, "allOf": [{"patternProperties": {SLOW: {}}}]}, {TEXT: 1}),
        ({"propertyNames": {"pattern": SLOW}}, {TEXT: 1}),
        ({"$schema": DRAFT, "pattern": SLOW, "items": {"$ref": "#"}}, [TEXT]),
    ],
)
def test_a_pattern_that_takes_for_ever_is_given_up_wherever_it_stands(schema, value):
    validator, began = make_validator(load_schema(schema)), time.monotonic()
    with pytest.raises(TimeoutError):
        validator.is_valid(value)
    assert time.monotonic() - began < 20 * PATTERN_SECONDS


@pytest.mark.parametrize("text", ["", "ab", "xaby", "AB", "a\n", "\u0665", "\u00e9", "7", "a-b"])
@pytest.mark.parametrize(
    "pattern", ["ab", "^ab$", "^a$", r"\d", r"^\w+$", "(?i)ab", "^$", "[^a]", "a|b$", r"a\Wb", "a{0}"]
)
def test_ordinary_patterns_are_found_anywhere_as_before(pattern, text):
    for schema, value in (({"pattern": pattern}, text), ({"propertyNames": {"pattern": pattern}}, {text: 1})):
        assert make_validator(schema).is_valid(value) == Draft202012Validator(schema).is_valid(value)


def test_classes_of_characters_are_known():
    assert make_validator(load_schema({"pattern": r"^\p{L}+$"})).is_valid("\u00e9t\u00e9")


KEYS = st.sampled_from(["a", "b", "ab", "c", "x1"])
VALUES = st.recursive(
    st.integers(0, 2) | st.sampled_from(["a", "b1"]), lambda part: st.dictionaries(KEYS, part, max_size=3), max_leaves=6
)
NODES = st.recursive(
    st.booleans()
    | st.sampled_from([{}, {"type": "integer"}, {"pattern": "1"}, {"const": 1}, {"$ref": "#/$defs/part"}]),
    lambda node: st.fixed_dictionaries(
        {},
        optional={
            "properties": st.dictionaries(KEYS, node, max_size=2),
            "patternProperties": st.dictionaries(st.sampled_from(["a", "^b", r"\d"]), node, max_size=2),
            "additionalProperties": node,
            "unevaluatedProperties": node,
            "dependentSchemas": st.dictionaries(KEYS, node, max_size=1),
            "allOf": st.lists(node, min_size=1, max_size=2),
            "anyOf": st.lists(node, min_size=1, max_size=2),
            "oneOf": st.lists(node, min_size=1, max_size=2),
            "if": node,
            "then": node,
            "else": node,
        },
    ),
    max_leaves=8,
)


@given(NODES.filter(lambda node: isinstance(node, dict)), NODES, VALUES)
def test_a_value_is_valid_where_jsonschema_says_so(node, part, value):
    schema = {**node, "$defs": {"part": part}}
    try:
        expected = Draft202012Validator(schema).is_valid(value)
    except RecursionError:
        with pytest.raises(RecursionError):
            make_validator(schema).is_valid(value)
    else:
        assert make_validator(schema).is_valid(value) == expected


def test_a_reference_to_a_place_with_an_escaped_name_is_followed():
    validator = make_validator(load_schema({"$defs": {"a b/c~d": {"type": "integer"}}, "$ref": "#/$defs/a%20b~1c~0d"}))
    assert validator.is_valid(1)
    assert not validator.is_valid("1")


@pytest.mark.parametrize(
    ("format", "good", "bad"),
    [
        ("date", "2024-02-29", "2023-02-29"),
        ("time", "23:59:60.5+01:00", "10:00"),
        ("date-time", "2024-02-29T10:00:00Z", "2024-02-30T10:00:00Z"),
        ("date-time", "2024-02-29t10:00:00.123456789-05:30", "2024-02-29 10:00:00Z"),
        ("email", "a@b.example", "a"),
        ("ipv4", "127.0.0.1", "127.0.0.256"),
        ("ipv6", "::1", ":1"),
        ("uuid", "123e4567-e89b-12d3-a456-426614174000", "123e4567"),
    ],
)
def test_common_formats_are_checked(format, good, bad):
    validator = make_validator({"type": ["string", "integer"], "format": format})
    assert validator.is_valid(good)
    assert not validator.is_valid(bad)
    assert validator.is_valid(1), "a format is of strings only"


@pytest.mark.parametrize("format", ["uri", "hostname", "duration", "idn-email", "iri", "binary", "whatever"])
def test_other_formats_are_not_checked_whatever_packages_are_installed(format):
    assert make_validator({"format": format}).is_valid("\n")


def test_a_multiple_of_a_tenth_is_one_in_decimals():
    validator = make_validator({"multipleOf": 0.1})
    assert all(validator.is_valid(number) for number in (0.3, 0.7, 19.9, 1, -0.2, 0))
    assert not any(validator.is_valid(number) for number in (0.35, 1e-3, float("inf")))
    assert validator.is_valid(10**400)
