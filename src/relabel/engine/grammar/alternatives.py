"""Whether the alternatives of a `oneOf` exclude each other, so that a text of one is a text of no other.

Knows what is said of one value as a list of flat schemas; nothing of references.
"""

from __future__ import annotations

from relabel.engine.grammar.leaf import Json

OPEN = {"additionalProperties", "patternProperties", "unevaluatedProperties", "propertyNames"}
"""A schema with one of these says itself which other keys it allows."""
Side = list[dict[str, Json]]
"""All that is said of a value by one alternative."""


def exclude_each_other(sides: list[Side]) -> bool:
    """Whether an object of one alternative, which has no keys but its own, is never one of another."""
    return all(_is_apart(one, other) for one in sides for other in sides if one is not other)


def declared(node: dict[str, Json]) -> list[str]:
    """The keys that a schema speaks of."""
    properties, required = node.get("properties"), node.get("required")
    names = list(properties) if isinstance(properties, dict) else []
    return [*names, *(str(name) for name in required if name not in names)] if isinstance(required, list) else names


def _is_apart(one: Side, other: Side) -> bool:
    """Whether no text of `one` is valid by `other`."""
    if any(part.keys() & {"anyOf", "oneOf"} for part in (*one, *other)):
        return False
    kinds, others = _types(one), _types(other)
    if kinds and others and not kinds & others:
        return True
    if kinds != {"object"} or not any("properties" in part for part in one):
        return False
    is_closed = not any(part.keys() & OPEN for part in one)
    if is_closed and _required(other) - {name for part in one for name in declared(part)}:
        return True
    return any(_values(one, name) and _values(other, name).isdisjoint(_values(one, name)) and _values(other, name)
               for name in _required(one))  # fmt: skip


def _required(side: Side) -> set[str]:
    lists = [part["required"] for part in side if "required" in part]
    return {str(name) for names in lists if isinstance(names, list) for name in names}


def _types(side: Side) -> set[str]:
    """The types that are left, none where nothing is said; an integer is a number."""
    found: set[str] | None = None
    for part in side:
        if "type" in part:
            said = part["type"] if isinstance(part["type"], list) else [part["type"]]
            kinds = {"number" if kind == "integer" else str(kind) for kind in said}
            found = kinds if found is None else found & kinds
    return found or set()


def _values(side: Side, name: str) -> set[str]:
    """The texts that a key's value may be; none where they are not listed."""
    found: set[str] = set()
    for part in side:
        properties = part.get("properties")
        node = properties.get(name) if isinstance(properties, dict) else None
        if isinstance(node, dict):
            listed = node.get("enum", [node["const"]] if "const" in node else [])
            values = listed if isinstance(listed, list) else []
            if any(not isinstance(value, str) for value in values):
                return set()
            found |= {str(value) for value in values}
    return found
