"""What a constraint lets through its parser takes, and the other way round: patterns, formats and schemas."""

import json
import os
import random

import pytest
import regex
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from relabel.data.labels.parsers import make_parser
from relabel.engine.api.constraint import check_constraint
from relabel.engine.grammar.formats import WRITTEN
from relabel.errors import ArgumentRefused, RowRejected
from relabel.job.engine import constraint_of
from relabel.spec import Label
from tests.job.held import lets_through, written

EXAMPLES = int(os.environ.get("HELD_EXAMPLES", "40"))
"""`.ci/nightly` tries more, others every night."""
LIMITS = ("the JSON has a key twice", "beyond 64 bits", "nested too deeply")
"""What a grammar cannot count; `docs/guide/labels.md` names them."""
SETS = [r"\d", r"\D", r"\w", r"\W", r"\s", r"\S", ".", "[^a]", r"[\s-]", r"[^\W_]", "[[a]", "[&&a]", r"\\d", r"\p{Lu}"]
PIECES = st.sampled_from([*SETS, "a", "é", "/", r"\/", " ", "k", r"\.", r"\-", "]"])


def joined(part: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    names = st.sampled_from(["(", "(?:", "(?P<stop>", "(?<suffix>", "(?P<start>", "(?P<lazy>", "(?P<capture>"])
    return (
        st.tuples(part, st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "+?"])).map(lambda p: f"(?:{p[0]}){p[1]}")
        | st.tuples(names, part).map(lambda p: f"{p[0]}{p[1]})")
        | st.tuples(part, part).map("".join)
        | st.tuples(part, part).map("|".join)
    )


PATTERNS = st.recursive(PIECES, joined, max_leaves=6)
EDGES = st.sampled_from([("", ""), ("^", ""), ("", "$"), ("^", "$"), ("(?i)", ""), ("^(", ")$")])


def label_of_schema(schema) -> Label:
    return Label(parse="json", json_schema=schema)


def taken(text: str, label: Label) -> str:
    """The label as it is printed, or the reason in its place."""
    try:
        return str(make_parser(label)(text))
    except RowRejected as reject:
        return str(reject)


def check_what_is_written(label: Label, seed: int) -> None:
    constraint = constraint_of(label)
    check_constraint(constraint)
    if (text := written(constraint, random.Random(seed))) is None:
        return
    assert any(limit in taken(text, label) for limit in ("{", *LIMITS)), f"{text!r}: {taken(text, label)}"


@settings(max_examples=EXAMPLES)
@given(EDGES, PATTERNS, st.booleans(), st.integers(0, 2**32))
@example(("^", "$"), r"\W", True, 1)
@example(("^", "$"), r"\W", False, 1)
@example(("", ""), r"(?P<start>\d+)-(?P<stop>\d+)", False, 1)
@example(("", ""), r"\s+", False, 1)
def test_what_a_pattern_lets_through_is_a_label(edges, pattern, is_json, seed):
    pattern = f"{edges[0]}{pattern}{edges[1]}"
    try:
        label = (
            label_of_schema({"type": "string", "pattern": pattern})
            if is_json
            else Label(parse="regex", pattern=pattern)
        )
        check_what_is_written(label, seed)
    except (ValueError, ArgumentRefused):  # not a pattern of this dialect, one that takes nothing, or an anchor inside
        assume(False)


@settings(max_examples=EXAMPLES // 2, deadline=None)
@given(PATTERNS, st.data())
def test_a_text_that_matches_a_pattern_is_let_through(pattern, data):
    label = Label(parse="regex", pattern=f"(?:{pattern})_")
    texts = data.draw(st.lists(st.text(alphabet="aé/k.-]_5K\\d\u0665&[", max_size=3), min_size=20, max_size=20))
    try:
        check_constraint(constraint_of(label))
    except ArgumentRefused:
        return
    for text in (f"{text}_" for text in texts):
        assert lets_through(constraint_of(label), text) == bool(regex.fullmatch(label.pattern, text))


@pytest.mark.parametrize("name", WRITTEN)
def test_what_is_written_for_a_format_is_of_it(name):
    for seed in range(20):
        check_what_is_written(label_of_schema({"type": "string", "format": name}), seed)


OF_FORMATS = {
    "date": st.dates().map(str),
    "time": st.times().map(lambda time: f"{time.isoformat()}Z"),
    "date-time": st.datetimes().map(lambda time: f"{time.isoformat()}+00:30"),
    "ipv4": st.ip_addresses(v=4).map(str),
    "ipv6": st.ip_addresses(v=6).map(str).filter(lambda text: "." not in text),
    "uuid": st.uuids().map(str),
    "uri": st.sampled_from(["https://example.com/a?b=c#d", "mailto:a@b.example", "urn:isbn:0451450523"]),
    "email": st.sampled_from(["a.b+c@example.com", "x@y.example", "o'neil@a-b.example"]),
    "hostname": st.sampled_from(["example.com", "a-b.example", "localhost", "1.example"]),
    "duration": st.sampled_from(["P1Y2M3D", "PT36H", "P2W", "P1DT12H"]),
}


@settings(max_examples=EXAMPLES)
@given(st.data())
def test_what_is_of_a_format_is_let_through(data):
    name = data.draw(st.sampled_from(sorted(OF_FORMATS)))
    text = json.dumps(data.draw(OF_FORMATS[name]))
    label = label_of_schema({"type": "string", "format": name})
    assert make_parser(label)(text)
    assert lets_through(constraint_of(label), text)


@pytest.mark.parametrize("text", ["2021-02-29", "1900-02-29", "2023-04-31"])
def test_a_day_that_there_is_not_is_neither_written_nor_taken(text):
    label = label_of_schema({"type": "string", "format": "date"})
    assert not lets_through(constraint_of(label), json.dumps(text))
    with pytest.raises(RowRejected):
        make_parser(label)(json.dumps(text))


KEYS = st.sampled_from(["a", "b", "properties", "enum", "$ref", "stop", "a/b~c"])
LEAVES = st.sampled_from(
    [
        *({"type": "integer"}, {"type": "string", "maxLength": 5}, {"type": ["boolean", "null"]}, {"const": "a"}),
        *(
            {"enum": ["b", 1, None]},
            {"type": "number", "minimum": 0, "maximum": 9},
            {"type": "string", "format": "date"},
        ),
        *({"$ref": "#/$defs/part"}, {"$ref": "#/$defs/a~1b~0c"}, {"type": "string", "pattern": r"^\S\W?$"}),
        *({"type": "integer", "minimum": 3, "title": "x"}, {"type": ["integer", "null"], "maximum": -3}),
    ]
)


def wholes(node):
    objects = st.builds(
        lambda properties, required, more: {
            "type": "object",
            "properties": properties,
            "required": [name for name in required if name in properties],
            **more,
        },
        st.dictionaries(KEYS, node, max_size=3),
        st.lists(KEYS, unique=True, max_size=2),
        st.sampled_from([{}, {}, {"additionalProperties": False}]),
    )
    several = st.lists(node, min_size=2, max_size=2)
    return (
        objects
        | st.builds(lambda items: {"type": "array", "items": items, "maxItems": 3}, node)
        | st.builds(lambda key, parts: {key: parts}, st.sampled_from(["anyOf", "oneOf", "allOf"]), several)
        | st.builds(lambda one, key, parts: {**one, key: parts}, objects, st.sampled_from(["anyOf", "allOf"]), several)
        | st.builds(lambda one, part: {**one, "allOf": [{"$ref": "#/$defs/part"}, part]}, objects, node)
    )


SCHEMAS = st.recursive(LEAVES, wholes, max_leaves=7)
TWO = {
    "a": {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]},
    "b": {"type": "object", "properties": {"y": {"type": "string"}}, "required": ["y"]},
}


@given(SCHEMAS, SCHEMAS, st.integers(0, 2**32))
@settings(max_examples=EXAMPLES)
def test_what_a_schema_lets_through_is_a_label(schema, part, seed):
    document = {**schema, "$defs": {"part": part, "a/b~c": {"type": "boolean"}}}
    try:
        check_what_is_written(label_of_schema(document), seed)
    except (ValueError, ArgumentRefused):  # a reference to itself, or what no text fits
        assume(False)


@pytest.mark.parametrize("beside", [{}, {"properties": {"z": {"type": "null"}}}, {"type": "object"}])
def test_an_all_of_two_objects_is_held_to_both(beside):
    label = label_of_schema({"$defs": TWO, "allOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/b"}], **beside})
    check_constraint(constraint_of(label))
    assert {"x", "y"} <= set(label.columns)
    for seed in range(5):
        check_what_is_written(label, seed)
    assert not lets_through(constraint_of(label), '{"x": 1}')
    assert not lets_through(constraint_of(label), "1")
    text = '{"x": 1, "y": "s", "z": null}' if "properties" in beside else '{"x": 1, "y": "s"}'
    assert lets_through(constraint_of(label), text)
    assert make_parser(label)(text).items() >= {"x": 1, "y": "s"}.items()


def test_a_group_of_any_name_is_only_a_name():
    for name in ("stop", "start", "suffix", "capture", "temperature", "lazy", "max_tokens"):
        label = Label(parse="regex", pattern=rf"(?P<from>\d+)-(?P<{name}>\d+)")
        assert lets_through(constraint_of(label), "1990-2003")
        assert not lets_through(constraint_of(label), "1990-")


def test_alternatives_that_do_not_exclude_each_other_are_refused_where_they_stand():
    both = [{"type": "object", "properties": {"a": {}}}, {"type": "object", "properties": {"b": {}}}]
    label = label_of_schema({"type": "object", "properties": {"x": {"oneOf": both}}})
    with pytest.raises(ArgumentRefused, match="oneOf at #/properties/x/oneOf; change it"):
        check_constraint(constraint_of(label))
