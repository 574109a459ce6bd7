"""The type of a column from its part of the schema."""

import pyarrow as pa
import pytest
from pydantic import BaseModel

from relabel.data.labels.arrow_types import JSON, label_types, value_types
from relabel.spec import Label
from tests.data.labels.types import BOOL, FLOAT, INT, POINT, POINT_TYPE, STRING

DEFS = {
    "point": POINT,
    "node": {"type": "object", "properties": {"value": {}, "kids": {"items": {"$ref": "#/$defs/node"}}}},
    "left": {"properties": {"right": {"$ref": "#/$defs/right"}}},
    "right": {"properties": {"left": {"$ref": "#/$defs/left"}}},
}


def type_of(node):
    schema = {"$defs": DEFS, "type": "object", "properties": {"a": node}}
    return value_types(Label(parse="json", json_schema=schema))["a"]


@pytest.mark.parametrize(
    ("label", "types"),
    [
        (Label(), {"label": STRING}),
        (Label(parse="last_line", column="caption"), {"caption": STRING}),
        (Label(parse="choice", choices=["1", "2"]), {"label": STRING}),
        (Label(parse="regex", pattern=r"\d+"), {"label": STRING}),
        (Label(parse="regex", pattern=r"(?P<b>\d+) (\w+) (?P<a>\w+)"), {"b": STRING, "a": STRING}),
        (Label(parse="json", json_schema=POINT), {"x": INT, "y": FLOAT}),
        (Label(parse="json", json_schema={"type": "array", "items": POINT}), {"label": pa.list_(POINT_TYPE)}),
        (Label(parse="json", json_schema=POINT | {"type": ["object", "null"]}), {"label": POINT_TYPE}),
        (Label(parse="json", json_schema={"enum": [1, 2]}, column="stars"), {"stars": INT}),
        (Label(parse="json", json_schema={}), {"label": STRING}),
    ],
)
def test_a_label_has_the_same_columns_and_types_for_a_whole_run(label, types):
    assert label_types(label) == types
    assert list(label_types(label)) == label.columns


@pytest.mark.parametrize(
    ("node", "type"),
    [
        ({"type": "string"}, STRING),
        ({"type": "boolean"}, BOOL),
        ({"type": "integer", "minimum": 0}, INT),
        ({"type": "number"}, FLOAT),
        ({"type": "array", "items": {"type": "integer"}}, pa.list_(INT)),
        ({"type": "array", "items": {"type": "array", "items": {}}}, pa.list_(pa.list_(JSON))),
        (POINT, POINT_TYPE),
        ({"properties": POINT["properties"]}, POINT_TYPE),
        ({"items": {"type": "string"}}, pa.list_(STRING)),
        ({"$ref": "#/$defs/point"}, POINT_TYPE),
        ({"allOf": [{"$ref": "#/$defs/point"}], "description": "where"}, POINT_TYPE),
        ({"allOf": [POINT, {"required": ["x"]}]}, POINT_TYPE),
        ({"allOf": [{"$ref": "#/$defs/point"}, {"properties": {"z": {}}}]}, pa.struct([*POINT_TYPE, ("z", JSON)])),
        ({"$ref": "#/$defs/point", "properties": {"z": {}}}, pa.struct([*POINT_TYPE, pa.field("z", JSON)])),
    ],
)
def test_what_has_one_type_becomes_that_type(node, type):
    assert type_of(node) == type


@pytest.mark.parametrize(
    ("node", "type"),
    [
        ({"enum": ["a", "b"]}, STRING),
        ({"enum": [1, 2, None]}, INT),
        ({"enum": [1, 2.5]}, FLOAT),
        ({"enum": [True, False]}, BOOL),
        ({"enum": [True, 1]}, JSON),
        ({"enum": [1, "a"]}, JSON),
        ({"enum": [[1], [2]]}, JSON),
        ({"const": 7}, INT),
        ({"const": None}, JSON),
        ({"type": "number", "enum": [1, 2]}, FLOAT),
        ({"type": ["string", "integer"], "enum": [1, 2]}, INT),
    ],
)
def test_values_that_are_listed_have_the_type_of_their_kind(node, type):
    assert type_of(node) == type


@pytest.mark.parametrize(
    ("node", "type"),
    [
        ({"type": ["integer", "null"]}, INT),
        ({"anyOf": [{"$ref": "#/$defs/point"}, {"type": "null"}]}, POINT_TYPE),
        ({"oneOf": [{"type": "null"}, {"type": "array", "items": {"type": "boolean"}}]}, pa.list_(BOOL)),
        ({"anyOf": [{"const": "a"}, {"type": "string", "minLength": 3}]}, STRING),
        ({"type": ["integer", "number"]}, FLOAT),
        ({"anyOf": [{"type": "integer"}, {"type": "number"}, {"type": "null"}]}, FLOAT),
        ({"anyOf": [{"type": "integer"}, {"anyOf": [{"type": "null"}, {"enum": [1]}]}]}, INT),
        ({"type": "string", "anyOf": [{"format": "date"}, {"format": "time"}]}, STRING),
    ],
)
def test_a_union_with_null_or_of_numbers_has_a_type(node, type):
    assert type_of(node) == type


@pytest.mark.parametrize(
    "node",
    [
        {},
        True,
        {"type": "null"},
        {"type": ["string", "integer"]},
        {"anyOf": [{"type": "string"}, {"type": "object"}]},
        {"anyOf": [{"type": "array", "items": {}}, {"type": "array", "items": {"type": "string"}}]},
        {"anyOf": [POINT, {"type": "integer"}]},
        {"anyOf": [POINT, {"type": "object", "properties": {"z": {"type": "integer"}}}]},
        {"type": "object"},
        {"type": "object", "properties": {}},
        {"type": "object", "additionalProperties": {"type": "integer"}},
        {"type": "array"},
        {"type": "array", "prefixItems": [{"type": "integer"}], "items": False},
        {"$ref": "#/$defs/node"},
        {"anyOf": [{"$ref": "#/$defs/left"}, {"type": "null"}]},
    ],
)
def test_what_has_no_one_type_is_json_text(node):
    assert type_of(node) == JSON


def test_json_text_is_written_as_strings():
    nested = {"type": "object", "properties": {"a": {"type": "array", "items": {}}, "b": {"type": "string"}}}
    label = Label(parse="json", json_schema={"properties": {"any": {}, "nested": nested}})
    assert value_types(label) == {"any": JSON, "nested": pa.struct([("a", pa.list_(JSON)), ("b", STRING)])}
    assert label_types(label) == {"any": STRING, "nested": pa.struct([("a", pa.list_(STRING)), ("b", STRING)])}


def test_a_tree_at_the_top_has_typed_columns_with_its_branches_as_json_text():
    schema = {"$defs": DEFS, "$ref": "#/$defs/node"}
    types = label_types(Label(parse="json", json_schema=schema))
    assert types == {"value": STRING, "kids": pa.list_(STRING)}


def test_types_that_hold_each_other_in_many_ways_are_told_at_once():
    names = [f"n{i}" for i in range(30)]
    all_of_them = {name: {"$ref": f"#/$defs/{name}"} for name in names}
    schema = {"$defs": {name: {"properties": all_of_them} for name in names}, "properties": all_of_them}
    assert set(label_types(Label(parse="json", json_schema=schema)).values()) == {STRING}


def test_a_pydantic_class_has_the_types_that_one_expects():
    class Shape(BaseModel):
        name: str
        size: int | None = None
        corners: list[tuple[float, float]] = []

    class Scene(BaseModel):
        shapes: list[Shape]
        background: Shape | None
        score: int | float
        tags: dict[str, int] = {}

    shape = pa.struct([("name", STRING), ("size", INT), ("corners", pa.list_(STRING))])
    assert label_types(Label(parse="json", json_schema=Scene.model_json_schema())) == {
        "shapes": pa.list_(shape),
        "background": shape,
        "score": FLOAT,
        "tags": STRING,
    }
