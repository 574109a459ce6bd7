"""The schemas in a JSON schema and where each stands, as a JSON pointer; names and data of the user's are neither.

Knows which keywords hold schemas; nothing of what they ask for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from relabel.spec.words import as_bool

MAX_LEVELS = 2_000
"""Of schemas in one another, each reference counted once: jsonschema-rs compiles them on the stack of its thread, and
30,000 end the process."""
_ONE = (
    *("items", "additionalItems", "additionalProperties", "contains", "contentSchema", "else", "if", "not"),
    *("propertyNames", "then", "unevaluatedItems", "unevaluatedProperties", "extends"),
)
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems", "items")
_FLAGS = ("uniqueItems", "exclusiveMinimum", "exclusiveMaximum", "deprecated", "readOnly", "writeOnly", "nullable")
_NAMED = ("$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties")


def places(schema: object) -> Iterator[tuple[str, dict[str, Any]]]:
    """A pointer such as `#/properties/a` and the schema there, for each that is an object."""
    ahead = [("#", schema)]
    while ahead:
        pointer, node = ahead.pop()
        if isinstance(node, dict):
            yield pointer, node
            ahead += reversed([(f"{pointer}{step}", part) for step, part in _parts(node)])


def with_booleans(schema: Any) -> Any:
    """The schema, the words of YAML as booleans wherever a schema or a flag stands; data and names keep them."""
    if not isinstance(schema, dict):
        return as_bool(schema)
    changed: dict[str, Any] = {}
    for key, part in schema.items():
        if key in _NAMED and isinstance(part, dict):
            changed[key] = {name: with_booleans(item) for name, item in part.items()}
        elif key in _LISTS and isinstance(part, list):
            changed[key] = [with_booleans(item) for item in part]
        else:
            changed[key] = with_booleans(part) if key in _ONE or key in _FLAGS else part
    return changed


def levels(node: object) -> int:
    """How deep the objects and lists of a node lie in one another."""
    level, depth = [node], 0
    while level := [part for part in level if isinstance(part, dict | list)]:
        level = [part for whole in level for part in (whole.values() if isinstance(whole, dict) else whole)]
        depth += 1
    return depth


def _parts(node: dict[str, Any]) -> Iterator[tuple[str, object]]:
    for key, part in node.items():
        if key in _LISTS and isinstance(part, list):
            yield from ((f"/{key}/{index}", item) for index, item in enumerate(part))
        elif key in _NAMED and isinstance(part, dict):
            yield from ((f"/{key}/{_escaped(name)}", item) for name, item in part.items())
        elif key in _ONE:
            yield f"/{key}", part


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
