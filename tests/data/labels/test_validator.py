import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from relabel.data.labels.validator import Validator
from relabel.spec.schemas.formats import CHECKED
from relabel.spec.schemas.json_schema import load_schema

SLOW = r"^(a*)*\1c$"
"""On many a and a b, some 2**n steps for whoever tracks back, as whoever refers back must."""
TEXT = "a" * 40 + "b"
DRAFT = "https://json-schema.org/draft/2020-12/schema"


def fits(schema, value):
    return Validator(schema).misfit(value) is None


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"pattern": SLOW}, TEXT),
        ({"items": {"pattern": SLOW}}, [TEXT]),
        ({"patternProperties": {SLOW: {"type": "string"}}}, {TEXT: 1}),
        ({"additionalProperties": False, "patternProperties": {SLOW: {}}}, {TEXT: 1}),
        ({"unevaluatedProperties": False, "patternProperties": {SLOW: {}}}, {TEXT: 1}),
        ({"unevaluatedProperties": False, "allOf": [{"patternProperties": {SLOW: {}}}]}, {TEXT: 1}),
        ({"propertyNames": {"pattern": SLOW}}, {TEXT: 1}),
        ({"$schema": DRAFT, "pattern": SLOW, "items": {"$ref": "#"}}, [TEXT]),
    ],
)
def test_a_pattern_that_takes_for_ever_is_given_up_wherever_it_stands(schema, value):
    assert Validator(load_schema(schema)).misfit(value) == "a pattern of the JSON schema took too many steps"


@pytest.mark.parametrize("pattern", ["(a+)+$", "^(a|a)+$", r"^(?=(a|a)+$)"])
def test_a_pattern_that_only_looks_slow_takes_linear_time(pattern):
    assert fits({"pattern": pattern}, "a" * 100_000)
    assert (
        Validator({"pattern": pattern}).misfit("a" * 100_000 + "b") == "the JSON does not fit its schema at $ (pattern)"
    )


@pytest.mark.parametrize("text", ["", "ab", "xaby", "AB", "7", "a-b"])
@pytest.mark.parametrize(
    "pattern",
    ["ab", "^ab$", "^a$", r"\d", r"^\w+$", "(?i)ab", "^$", "[^a]", "a|b$", r"a\Wb", "a{0}", "^(?!x)a", r"(.)-\1"],
)
def test_ordinary_patterns_are_found_anywhere(pattern, text):
    for schema, value in (({"pattern": pattern}, text), ({"propertyNames": {"pattern": pattern}}, {text: 1})):
        assert fits(schema, value) == Draft202012Validator(schema).is_valid(value)


def test_patterns_are_those_of_ecmascript_as_json_schema_says():
    assert not fits({"pattern": "^a$"}, "a\n")
    assert not fits({"pattern": r"\d"}, "\u0665"), "a digit is 0 to 9"
    assert not fits({"pattern": r"^\w+$"}, "\u00e9"), "a character of a word is A to Z, a to z, 0 to 9 or _"
    assert fits(load_schema({"pattern": r"^\p{L}+$"}), "\u00e9t\u00e9")


def test_a_text_may_be_held_to_a_length_by_its_pattern():
    assert fits(load_schema({"pattern": "^.{1,10000}$"}), "\u00e9" * 10_000)
    assert not fits(load_schema({"pattern": "^.{1,10000}$"}), "\u00e9" * 10_001)


def test_half_a_surrogate_pair_is_no_text():
    for value in ("\ud800", {"\ud800": 1}):
        schema = {"type": ["string", "object"], "minLength": 1, "propertyNames": {"minLength": 1}}
        assert Validator(schema).misfit(value) == "a text holds half a surrogate pair"


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
    found = fits(schema, value)
    try:
        expected = Draft202012Validator(schema).is_valid(value)
    except RecursionError:  # of a reference that leads to itself, which asks for nothing here
        return
    assert found == expected


def test_a_reference_to_a_place_with_an_escaped_name_is_followed():
    schema = load_schema({"$defs": {"a b/c~d": {"type": "integer"}}, "$ref": "#/$defs/a%20b~1c~0d"})
    assert fits(schema, 1)
    assert not fits(schema, "1")


def test_dependencies_are_of_draft_7_and_hold_there():
    rule = {"dependencies": {"a": ["b"]}}
    assert not fits(load_schema({"$schema": "http://json-schema.org/draft-07/schema#", **rule}), {"a": 1})
    assert fits(load_schema({"$schema": "http://json-schema.org/draft-07/schema#", **rule}), {"a": 1, "b": 1})


def test_a_schema_is_read_by_the_draft_that_it_names():
    tuple_of_draft_7 = {"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"type": "integer"}]}
    assert not fits(load_schema(tuple_of_draft_7), ["1"])
    assert fits(load_schema(tuple_of_draft_7), [1, "2"])
    assert fits(load_schema({"prefixItems": [{"type": "integer"}]}), [1, "2"])


@pytest.mark.parametrize(
    ("format", "good", "bad"),
    [
        ("date", "2024-02-29", "2023-02-29"),
        ("time", "23:59:59.5+01:00", "10:00"),
        ("time", "23:59:60Z", "10:00:60Z"),  # a leap second is the last one of a day
        ("date-time", "2024-02-29T10:00:00Z", "2024-02-30T10:00:00Z"),
        ("date-time", "2024-02-29t10:00:00.123456789-05:30", "2024-02-29 10:00:00Z"),
        ("email", "a@b.example", "a"),
        ("ipv4", "127.0.0.1", "127.0.0.256"),
        ("ipv6", "::1", ":1"),
        ("uuid", "123e4567-e89b-12d3-a456-426614174000", "123e4567"),
    ],
)
def test_common_formats_are_checked(format, good, bad):
    schema = {"type": ["string", "integer"], "format": format}
    assert fits(schema, good)
    assert not fits(schema, bad)
    assert fits(schema, 1), "a format is of strings only"


@pytest.mark.parametrize("format", CHECKED)
@pytest.mark.parametrize("draft", ["draft-04", "draft-07", None])
def test_every_format_of_the_standard_is_checked_whatever_the_draft(format, draft):
    schema = {"format": format, **({"$schema": f"http://json-schema.org/{draft}/schema#"} if draft else {})}
    assert not fits(schema, "\n {(")
    assert fits(schema, 1)


def test_a_multiple_of_a_tenth_is_one_in_decimals():
    schema = {"multipleOf": 0.1}
    assert all(fits(schema, number) for number in (0.3, 0.7, 19.9, 1, -0.2, 0))
    assert not any(fits(schema, number) for number in (0.35, 1e-3))
    assert fits(schema, 10**308)


@pytest.mark.parametrize(
    ("schema", "value", "place"),
    [
        (
            {"properties": {"a": {"type": "null"}, "b": {"properties": {"c": {"type": "null"}}}}},
            {"a": 1, "b": {"c": 1}},
            "$.a (type)",
        ),
        ({"anyOf": [{"properties": {"a": {"type": "null"}}}, {"type": "null"}]}, {"a": 1}, "$.a (type)"),
        ({"oneOf": [{"type": "string"}, {"type": "null"}]}, 1, "$ (oneOf)"),
        ({"oneOf": [{}, {"type": "integer"}]}, 1, "$ (oneOf)"),
        ({"anyOf": [{"anyOf": [{"items": {"type": "null"}}]}]}, [None, 1], "$[1] (type)"),
    ],
)
def test_of_several_errors_the_nearest_to_the_top_is_named_and_of_alternatives_the_one_that_fits_furthest(
    schema, value, place
):
    assert Validator(schema).misfit(value) == f"the JSON does not fit its schema at {place}"


def test_a_union_that_refers_to_itself_costs_a_deep_misfit_nothing():
    """Each level doubles the errors: 14 levels took 4 s and 980 MB, 24 would take the process."""
    one = {"type": "object", "properties": {"op": {"const": "a"}, "arg": {"$ref": "#/$defs/E"}}, "required": ["arg"]}
    other = {**one, "properties": {**one["properties"], "op": {"enum": ["a", "b"]}}}
    schema = {"$defs": {"E": {"anyOf": [{"type": "integer"}, one, other]}}, "$ref": "#/$defs/E"}
    value = "x"
    for _ in range(24):
        value = {"op": "a", "arg": value}
    assert Validator(schema).misfit(value) == "the JSON does not fit its schema"
