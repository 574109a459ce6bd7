"""The Arrow types of a label's columns, fixed before the first row, and the values that fit them.

A column of `parse: json` has the one type that its part of the schema allows, and where there is no such type it holds
JSON text: strings are in quotes there, so that "5" and 5 differ, and null is null as in every column. Keys that an
object may have beyond its declared properties are not written. Knows nothing of text or models.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

import pyarrow as pa
from pydantic import JsonValue

from relabel.errors import RowRejected
from relabel.rejected import Code
from relabel.spec import Label
from relabel.spec.schemas.json_schema import is_recursive, properties_of, resolved

Schema = dict[str, Any]
"""A JSON schema, or an object in one, that `load_schema` has found to be valid."""
JSON = pa.large_string()
"""The type that stands for JSON text among the types of values: nothing else has it, and it is written as a string."""
_SCALARS = {
    "string": pa.string(),
    "boolean": pa.bool_(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "null": pa.null(),
}
_KINDS = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}
_WRONG_KIND = Code.PARSE, "a value is of another kind than its column"


def label_types(label: Label) -> dict[str, pa.DataType]:
    """The type of each column of a label as it is written, in the order of `label.columns`."""
    return {name: _stored(type) for name, type in value_types(label).items()}


def value_types(label: Label) -> dict[str, pa.DataType]:
    """The type of each column of a label as `arrow_value` takes it: that of JSON text is `JSON`, not a string."""
    if label.json_schema is None:
        return dict.fromkeys(label.columns, pa.string())
    if properties := properties_of(label.json_schema):
        return {name: _type_of(label.json_schema, node) for name, node in properties.items()}
    return {label.column: _type_of(label.json_schema, label.json_schema)}


def arrow_value(value: JsonValue, type: pa.DataType) -> JsonValue:
    """A value of JSON as a column of this type holds it; `type` is one of `value_types`.

    Raises RowRejected (parse) where the column cannot hold it.
    """
    if value is None:
        return None
    if type == JSON:
        return _text(_json_of(value))
    if pa.types.is_string(type) and isinstance(value, str):
        return _text(value)
    if pa.types.is_list(type) and isinstance(value, list):
        return [arrow_value(item, type.value_type) for item in value]
    if pa.types.is_struct(type) and isinstance(value, dict):
        return {field.name: arrow_value(value.get(field.name), field.type) for field in type}
    if pa.types.is_boolean(type) and isinstance(value, bool):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        if pa.types.is_int64(type):
            return _integer(value)
        if pa.types.is_float64(type):
            return _number(value)
    raise RowRejected(*_WRONG_KIND)


def _json_of(value: JsonValue) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise RowRejected(*_WRONG_KIND) from error


def _text(text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise RowRejected(Code.PARSE, "a text holds half a surrogate pair") from error
    return text


def _integer(value: int | float) -> int:
    if isinstance(value, float) and not value.is_integer():
        raise RowRejected(Code.PARSE, "a number is no integer")
    if not -(2**63) <= value < 2**63:
        raise RowRejected(Code.PARSE, "an integer is beyond 64 bits")
    return int(value)


def _number(value: int | float) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise RowRejected(Code.PARSE, "a number is beyond 64 bits")
    return number


def _stored(type: pa.DataType) -> pa.DataType:
    if pa.types.is_list(type):
        return pa.list_(_stored(type.value_type))
    if pa.types.is_struct(type):
        return pa.struct([(field.name, _stored(field.type)) for field in type])
    return pa.string() if type == JSON else type


def _type_of(schema: Schema, node: object) -> pa.DataType:
    """The type of a column, a field or an item: never null, as it may hold JSON text."""
    type = _type_or_null(schema, node)
    return JSON if pa.types.is_null(type) else type


def _type_or_null(schema: Schema, node: object) -> pa.DataType:
    if is_recursive(schema, node) or not isinstance(node := resolved(schema, node), dict):
        return JSON
    values = node.get("enum", [node["const"]] if "const" in node else [])
    members = node.get("anyOf", node.get("oneOf", []))
    return (
        _one_of(_type_of_kind(schema, node, kind) for kind in _kinds(node))
        or _one_of(_SCALARS.get(_KINDS.get(type(value), ""), JSON) for value in values)
        or _one_of(_type_or_null(schema, member) for member in members)
        or JSON
    )


def _kinds(node: Schema) -> list[str]:
    """The kinds that `type` names; without it, the one that `properties` or `items` imply."""
    if "type" in node:
        return [node["type"]] if isinstance(node["type"], str) else node["type"]
    return ["object"] if "properties" in node else ["array"] if "items" in node else []


def _type_of_kind(schema: Schema, node: Schema, kind: str) -> pa.DataType:
    if kind == "array" and "items" in node and "prefixItems" not in node:
        return pa.list_(_type_of(schema, node["items"]))
    if kind == "object" and node.get("properties"):
        return pa.struct([(name, _type_of(schema, part)) for name, part in node["properties"].items()])
    return _SCALARS.get(kind, JSON)


def _one_of(types: Iterable[pa.DataType]) -> pa.DataType | None:
    """The one type that holds values of all these types: null for nulls alone, None where no one type does."""
    found = set(types)
    if len(found) > 1:
        found.discard(pa.null())
    if found == {pa.int64(), pa.float64()}:
        return pa.float64()
    return found.pop() if len(found) == 1 else None
