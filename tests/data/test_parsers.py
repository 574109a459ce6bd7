import json
import random
import re
import time

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relabel.data import parsers
from relabel.data.parsers import make_parser
from relabel.data.types import JSON, label_types, value_types
from relabel.data.vote import vote
from relabel.errors import RowRejected
from relabel.spec import Label

SCENE = {
    "$defs": {"tree": {"type": "object", "properties": {"kids": {"type": "array", "items": {"$ref": "#/$defs/tree"}}}}},
    "type": "object",
    "properties": {
        "caption": {"type": "string", "minLength": 1},
        "score": {"type": ["number", "null"], "multipleOf": 0.5},
        "shapes": {
            "type": "array",
            "uniqueItems": True,
            "items": {
                "type": "object",
                "properties": {"size": {"enum": [1, 2]}, "red": {"type": "boolean"}},
                "required": ["size"],
            },
        },
        "day": {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]},
        "counts": {"type": "object", "additionalProperties": {"type": "integer"}},
        "tree": {"$ref": "#/$defs/tree"},
    },
    "required": ["caption"],
}
RULES = {
    "properties": {"caption": {"not": {"const": ""}}, "counts": {"propertyNames": {"maxLength": 4}}},
    "patternProperties": {
        "^s": {"anyOf": [{"contains": {"type": "number"}, "minContains": 2}, {"multipleOf": 1e-300}]}
    },
    "dependentRequired": {"day": ["size"]},
    "dependentSchemas": {"kids": {"maxProperties": 2}},
    "if": {"required": ["red"]},
    "then": {"oneOf": [{"required": ["tree"]}, {"required": ["a"]}]},
    "unevaluatedProperties": {"type": ["integer", "string", "object"], "unevaluatedProperties": False},
}
LABELS = {
    "text": Label(),
    "last_line": Label(parse="last_line"),
    "regex": Label(parse="regex", pattern=r"(?P<name>\w+): (?P<value>\d+)(?P<unit>mm)?"),
    "match": Label(parse="regex", pattern=r"\d+|[a-z]*", column="number", constrain=False),
    "choice": Label(parse="choice", choices=["yes", "no", "Not sure", "5*", "+"]),
    "object": Label(parse="json", json_schema=SCENE),
    "anything": Label(parse="json", json_schema={}),
    "untyped_object": Label(parse="json", json_schema={"properties": {"a": {"type": "integer"}, "b": {}}}),
    "rules": Label(parse="json", json_schema=RULES),
    "list": Label(parse="json", json_schema={"type": "array", "items": {"type": ["integer", "number"]}}),
}


def taken(text, label):
    """The label, or the reason in its place."""
    if not isinstance(label, Label):
        label = Label(parse="json", json_schema=label)
    try:
        return make_parser(label)(text)
    except RowRejected as reject:
        return str(reject)


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
    began = time.monotonic()
    reason = taken("a" * 100_000 + "b", Label(parse="regex", pattern=r"(a+)+$"))
    assert reason == f"parse: the pattern took more than {parsers.PATTERN_SECONDS} s"
    assert time.monotonic() - began < 20


def test_a_pattern_of_a_schema_that_takes_for_ever_is_given_up():
    found = taken(f'"{"a" * 40}b"', {"type": "string", "pattern": "^(a|a)+$"})
    assert found == f"parse: a pattern of the JSON schema took longer than {parsers.PATTERN_SECONDS} s"


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


def test_a_schema_without_an_end_is_a_reject_and_no_crash():
    assert taken("1", {"allOf": [{"$ref": "#"}, {}]}) == "parse: the JSON is nested too deeply"


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


# Whatever a model may write, and more.

SECRET = "qzxj"
REASONS = re.compile(
    r"parse: (the model wrote nothing|the pattern (matches nothing|took more than 1 s)|none of the choices|not JSON"
    r"|JSON has no (NaN|-?Infinity)|the JSON (ends too early|has a key twice|is nested too deeply|is no object)"
    r"|a (number|value|text) [a-z0-9 ]+|an integer is beyond 64 bits"
    r"|the JSON does not fit its schema at \$[\w.*\[\]]{0,100} \(\w+\))"
)
NASTY = [
    "[" * 100_000,
    '{"a":' * 100_000,
    "[" * 200 + "]" * 200,
    '{"counts": ' * 60 + "1" + "}" * 60,
    '{"caption": ' + "9" * 5000 + "}",
    "-" + "9" * 5000,
    '{"a": -' + "9" * 308 + "}",
    '{"b": 1' + "0" * 308 + "}",
    "[1e400]",
    '{"a": 1e300}',
    '{"a": 0.1e1}',
    '{"a": true, "b": "\\udfff"}',
    '{"\\udfff": 1}',
    "NaN",
    "[NaN, -Infinity]",
    "```" * 10_000,
    "```\n" * 10_001,
    '"' * 10_000,
    "\\" * 10_000,
    "\x00",
    "\ud800: 5",
    "x: \u0665\u0666",
    "a" * 100_000,
    "\n" * 10_000 + "yes",
    '{"caption": "a", "score": 1e308, "tree": {"kids": [{"kids": []}]}}',
    '{"caption": "a", "shapes": [' + '{"size": 1},' * 500 + '{"size": 1}]}',
]
VALID = [
    f"{SECRET}: 12mm",
    f"I think\n**Not sure**\n{SECRET}\nyes",
    json.dumps({"caption": SECRET, "score": 1.5, "shapes": [{"size": 2, "red": True}, {"size": 1}], "tree": {}}),
    json.dumps({"caption": "a", "day": "2024-01-01", "counts": {SECRET: 1, "b": 2}, SECRET: None}),
    json.dumps({"caption": "é", "tree": {"kids": [{"kids": []}], SECRET: 1}}),
    json.dumps({"a": 10**18, "b": {SECRET: [1, 2.5, None, "\ud83d"]}}),
    json.dumps([1, -2.5e-3, 10**25]),
    f'{SECRET} {{it}}\n```json\n{{"a": 1, "b": "```"}}\n```',
]
PIECES = ["{", "}", "[", "]", '"', ":", ",", "\\", "\\u", "\\ud800", "0", "-", "e9", ".", "NaN", "null", "true", "```"]


WORDS = ["caption", "score", "shapes", "size", "red", "day", "counts", "tree", "kids", "a", "b", SECRET]
SCALARS = [
    None,
    True,
    False,
    0,
    1,
    2,
    2.0,
    0.5,
    -0.0,
    2**63,
    -(2**63),
    10**400,
    1e308,
    float("nan"),
    "",
    SECRET,
    "\ud800",
]


def strange_value(draw: random.Random, depth: int = 4) -> object:
    """A value in the words of the schemas, mostly of the wrong kinds."""
    kind = draw.choice([dict, dict, list, None]) if depth else None
    if kind is None:
        return draw.choice([*SCALARS, "2024-02-30", "2024-02-29", draw.randint(-(2**70), 2**70), draw.gauss(0, 1e9)])
    parts = [strange_value(draw, depth - 1) for _ in range(draw.randint(0, 4))]
    return dict(zip(draw.sample(WORDS, len(parts)), parts, strict=True)) if kind is dict else parts


def strange_text(draw: random.Random) -> str:
    """Random characters, or a good answer that was cut, spliced and strewn with pieces."""
    if draw.random() < 0.2:
        ends = draw.choice([0x80, 0x3000, 0xFFFF, 0x10FFFF])
        return "".join(chr(draw.randint(0, ends)) for _ in range(draw.randint(0, 30)))
    value = strange_value(draw)
    text = draw.choice([*VALID, json.dumps(value), json.dumps({"caption": SECRET, "a": value}, ensure_ascii=False)])
    for _ in range(draw.choice([0, 0, 1, 2, 3])):
        start, end = sorted(draw.choices(range(len(text) + 1), k=2))
        piece = draw.choice([*PIECES, "", "", text[start:end] * 2, chr(draw.randint(0, 0xFFFF)), draw.choice(VALID)])
        text = text[:start] + piece + text[draw.choice([start, start, min(start + 1, len(text)), end]) :]
    return text


@pytest.mark.parametrize("name", LABELS)
def test_any_of_10_000_strange_texts_is_a_label_that_fits_or_a_reject_that_quotes_nothing(name):
    label, draw = LABELS[name], random.Random(name)
    parse, types = make_parser(label), label_types(label)
    found, reasons = [], set()
    for number in range(10_000):
        text = NASTY[number] if number < len(NASTY) else strange_text(draw)
        try:
            found.append(parse(text))
        except RowRejected as reject:
            reasons.add(str(reject))
    assert len(found) > 100
    for column, type in types.items():
        values = [label[column] for label in found]
        assert pa.array(values, type).to_pylist() == values
    assert all(list(label) == list(types) for label in found)
    assert not [reason for reason in reasons if not REASONS.fullmatch(reason) or SECRET in reason]
    assert len(reasons) < 60
