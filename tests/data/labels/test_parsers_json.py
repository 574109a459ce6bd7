import json

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relabel.data.labels import parsers
from relabel.data.labels.arrow_types import JSON, label_types, value_types
from relabel.data.labels.parsers import make_parser
from relabel.data.labels.vote import vote
from relabel.spec import Label
from tests.data.labels.parsing import LABELS, taken

SIZE = {"type": "object", "properties": {"size": {"type": "integer"}, "name": {"type": "string"}}}


@pytest.mark.parametrize(
    "text",
    [
        '{"size": 3}',
        ' \n{"size":3.0}\n',
        '\ufeff{"size": 3}',
        'Here it is:\n```json\n{"size": 3}\n```\nThat was {it}.',
        'I saw [it].\n```\n{"size": 3}\n```',
        '```python\nprint({})\n```\n```json\n{"size": 3}\n```',
        '```json\n{"size": 3}',
        'Sure! {"size": 3} I hope that helps {you}.',
        'Infinity War has {"size": 3}',
        '{"size": 3, "other": [1, 2]}',
    ],
)
def test_json_is_found_in_what_models_write_around_it(text):
    assert taken(text, SIZE) == {"size": 3, "name": None}


def test_a_fence_in_a_string_is_no_fence():
    text = '```json\n{"name": "```", "size": 3}\n```'
    assert taken(text, SIZE) == {"size": 3, "name": "```"}


def test_every_value_has_the_type_of_its_column():
    text = '{"caption": "a", "score": 2, "shapes": [{"size": 1}], "counts": {"b": 1, "a": 2}, "tree": {"kids": [{}]}}'
    assert taken(text, LABELS["object"]) == {
        "caption": "a",
        "score": 2.0,
        "shapes": [{"size": 1, "red": None}],
        "day": None,
        "counts": '{"a": 2, "b": 1}',
        "tree": '{"kids": [{}]}',
    }


def test_json_that_is_no_object_is_one_column():
    assert taken("[1, 2.5]", LABELS["list"]) == {"label": [1.0, 2.5]}
    assert taken('{"b": 1, "a": []}', LABELS["anything"]) == {"label": '{"a": [], "b": 1}'}
    assert taken('"red"', {"enum": ["red", "blue"]}) == {"label": "red"}
    assert taken('"red"', {}) == {"label": '"red"'}
    assert taken("3", Label(parse="json", json_schema={"type": "integer"}, column="stars")) == {"stars": 3}
    assert taken("null", {"type": ["integer", "null"]}) == {"label": None}


def test_a_number_and_its_digits_are_two_answers():
    parse = make_parser(Label(parse="json", json_schema={"properties": {"size": {"type": ["string", "integer"]}}}))
    answers = [parse(f'{{"size": {size}}}') for size in ('"1"', "1", "1", '"1"', "1")]
    assert answers[:2] == [{"size": '"1"'}, {"size": "1"}]
    assert vote(answers) == (1, 3 / 5)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("I cannot help with that.", "not JSON"),
        ("bad", "not JSON"),
        ("{size: 3}", "not JSON"),
        ("{'size': 3}", "not JSON"),
        ('{"size": 3,}', "not JSON"),
        ('{"size": 03}', "not JSON"),
        ('{"name": "a\nb"}', "not JSON"),
        ('{"size": NaN}', "JSON has no NaN"),
        ("[-Infinity]", "JSON has no -Infinity"),
        ("Infinity", "JSON has no Infinity"),
        ('{"size": 1, "size": 2}', "the JSON has a key twice"),
        ('{"size": 1, "other": {"a": 1, "a": 1}}', "the JSON has a key twice"),
        ("[" * 100_000, "the JSON is nested too deeply"),
        ('{"other": ' + "[" * 64 + "]" * 64 + "}", "the JSON is nested too deeply"),
        ('{"size": 9223372036854775808}', "an integer is beyond 64 bits"),
        ('{"size": ' + "9" * 100_000 + "}", "a number is beyond 64 bits"),
        ('{"size": 1e999}', "a number is beyond 64 bits"),
        ('{"name": "\\ud800"}', "a text holds half a surrogate pair"),
        ("[]", "the JSON does not fit its schema at $ (type)"),
        ('{"size": "big"}', "the JSON does not fit its schema at $.size (type)"),
        ("Sure: [{}]", "the JSON does not fit its schema at $ (type)"),
    ],
)
def test_what_is_no_json_or_not_of_the_schema_is_a_reject(text, reason):
    assert taken(text, SIZE) == f"parse: {reason}"


def test_json_that_is_nested_as_deep_as_is_allowed_is_taken():
    text = "[" * parsers.MAX_DEPTH + "]" * parsers.MAX_DEPTH
    recursive = {"anyOf": [{"type": "integer"}, {"type": "array", "items": {"$ref": "#"}}]}
    assert taken(text, {}) == {"label": text}
    assert taken(text, recursive) == {"label": text}
    assert taken(f"[{text}]", {}) == "parse: the JSON is nested too deeply"


def test_a_schema_that_goes_round_in_circles_asks_for_nothing():
    assert taken("1", {"allOf": [{"$ref": "#"}, {}]}) == {"label": "1"}


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({}, "$ (required)"),
        ({"caption": ""}, "$.caption (minLength)"),
        ({"caption": "a", "shapes": [{"size": 1}, {"size": 3}]}, "$.shapes[1].size (enum)"),
        ({"caption": "a", "shapes": [{"size": 1}, {"size": 1}]}, "$.shapes (uniqueItems)"),
        ({"caption": "a", "score": 0.3}, "$.score (multipleOf)"),
        ({"caption": "a", "score": 1e308}, None),
        ({"caption": "a", "day": "2023-02-29"}, "$.day (format)"),
        ({"caption": "a", "day": 1}, "$.day (anyOf)"),
        ({"caption": "a", "counts": {"secret": "x"}}, "$.counts.* (type)"),
        ({"caption": "a", "tree": {"kids": [{"kids": 1}]}}, "$.tree.kids[0].kids (type)"),
    ],
)
def test_a_reason_names_the_place_and_the_rule_and_quotes_nothing(value, place):
    found = taken(json.dumps(value), LABELS["object"])
    if place is None:
        assert found["caption"] == "a"
    else:
        assert found == f"parse: the JSON does not fit its schema at {place}"


def test_a_schema_that_allows_nothing_has_no_rule_to_name():
    assert taken("1", {"anyOf": [False]}) == "parse: the JSON does not fit its schema at $ (false)"


def test_of_several_errors_the_same_one_is_named_in_every_process():
    schema = {"type": "object", "additionalProperties": {"type": "integer"}}
    value = {f"key{number}": ["x"] if number % 2 else "x" for number in range(50)}
    assert taken(json.dumps(value), schema) == "parse: the JSON does not fit its schema at $.* (type)"


def test_a_schema_that_says_no_type_takes_objects_alone():
    assert taken("[1]", LABELS["untyped_object"]) == "parse: the JSON is no object"


@pytest.mark.parametrize("ensure_ascii", [True, False])
@pytest.mark.parametrize("prefix", ["", "Sure:\n```json\n"])
def test_json_that_is_cut_off_anywhere_is_told_from_what_is_no_json(prefix, ensure_ascii):
    value = {"a": [1, -2.5e-10, True, False, None, 1e100], 'é€\n"\\': {"b": [[], {}]}, "c": "\U0001f600"}
    text = json.dumps(value, ensure_ascii=ensure_ascii)
    for end in range(1, len(text)):
        assert taken(prefix + text[:end], {}) == "parse: the JSON ends too early", text[:end]


# A small grammar of schemas, each with a strategy of values that it allows.


@st.composite
def schemas(draw, defs, depth=2):
    def part():
        return draw(schemas(defs, depth - 1))

    kinds = ["string", "boolean", "integer", "number", "enum", "const", "any"]
    kind = draw(st.sampled_from(kinds + ["array", "object", "dict", "null", "union", "ref", "tuple"] * (depth > 0)))
    scalars = {
        "string": st.text(max_size=5),
        "boolean": st.booleans(),
        "integer": st.integers(-(2**63), 2**63 - 1) | st.integers(-9, 9).map(float),
        "number": st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**63), 2**63 - 1),
    }
    if kind in scalars:
        return {"type": kind}, scalars[kind]
    if kind == "enum":
        values = draw(st.lists(scalars[draw(st.sampled_from([*scalars]))] | st.none(), min_size=1, max_size=3))
        return {"enum": values}, st.sampled_from(values)
    if kind == "const":
        value = draw(scalars[draw(st.sampled_from([*scalars]))])
        return {"const": value}, st.just(value)
    if kind == "any":
        return draw(st.sampled_from([{}, True])), st.lists(st.none() | st.text(max_size=3) | st.booleans(), max_size=2)
    if kind == "array":
        schema, values = part()
        return {"type": "array", "items": schema}, st.lists(values, max_size=3)
    if kind == "tuple":
        parts = [part(), part()]
        return {"type": "array", "prefixItems": [schema for schema, _ in parts]}, st.tuples(*(v for _, v in parts))
    if kind == "dict":
        schema, values = part()
        return {"type": "object", "additionalProperties": schema}, st.dictionaries(st.text(max_size=3), values)
    if kind == "object":
        parts = {name: part() for name in draw(st.lists(st.text(max_size=3), unique=True, max_size=3))}
        schema = {"type": "object", "properties": {name: schema for name, (schema, _) in parts.items()}}
        return schema, st.fixed_dictionaries({}, optional={name: values for name, (_, values) in parts.items()})
    if kind == "null":
        schema, values = part()
        return {"anyOf": [schema, {"type": "null"}]}, st.none() | values
    if kind == "union":
        (one, ones), (other, others) = part(), part()
        return {"anyOf": [one, other]}, ones | others
    schema, values = part()
    defs[f"d{len(defs)}"] = schema
    node = {"$ref": f"#/$defs/d{len(defs) - 1}"}
    return draw(st.sampled_from([node, {"allOf": [node]}])), values


def is_same(value, written, type):
    """Whether a value of a column says what was written in JSON."""
    if value is None or written is None:
        return value is written
    if type == JSON:
        return json.loads(value) == written
    if isinstance(value, dict):
        parts = (is_same(value[field.name], written.get(field.name), field.type) for field in type)
        return all(parts) and written.keys() <= value.keys()
    if isinstance(value, list):
        pairs = zip(value, written, strict=True)
        return all(is_same(part, was, type.value_type) for part, was in pairs)
    return value == (float(written) if isinstance(value, float) else written)


@given(st.data())
def test_what_a_schema_allows_is_a_label_of_its_types(data):
    defs: dict = {}
    schema, values = data.draw(schemas(defs, depth=3))
    label = Label(parse="json", json_schema={"$defs": defs, **(schema if isinstance(schema, dict) else {})})
    written = json.loads(json.dumps(data.draw(values)))
    found = make_parser(label)(json.dumps(written, ensure_ascii=data.draw(st.booleans())))
    types = label_types(label)
    assert list(types) == list(found) == label.columns
    for column, type in types.items():
        assert pa.array([found[column]], type).to_pylist() == [found[column]]
    is_one_column = label.columns == ["label"] and not (isinstance(written, dict) and "label" in written)
    kinds = value_types(label)
    if is_one_column:
        assert is_same(found["label"], written, kinds["label"])
    else:
        assert is_same(found, written, pa.struct(list(kinds.items())))
