"""A JSON schema as it is given to the grammar library: what a text that it lets through is, its judge and columns take.

Each value has no keys beside those declared for it, wherever the declarations stand: in references, in `allOf`, in
alternatives. References are followed, patterns and formats are spelled out. Knows nothing of grammars.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import unquote

from relabel.engine.grammar.alternatives import OPEN, declared, exclude_each_other
from relabel.engine.grammar.leaf import Json, Step, Unheld, spelled_leaf, spelled_pattern

MAX_LEVELS = 100
"""Of schemas in one another, references included: llguidance compiles them by recursion on the stack of its thread."""
CHOICES = ("anyOf", "oneOf")
IN_PLACE = {"$ref", "allOf", *CHOICES}
ONE = ("items", "additionalProperties", "additionalItems")
MANY = ("prefixItems", "items")
NAMED = ("properties", "patternProperties")
UNHELD = (
    *("not", "if", "then", "else", "contains", "minContains", "maxContains", "uniqueItems", "propertyNames"),
    *("dependentRequired", "dependentSchemas", "dependencies", "unevaluatedItems", "unevaluatedProperties"),
    *("$dynamicRef", "$recursiveRef"),
)
"""What no grammar holds a text to."""
NOTES = {"title", "description", "default", "examples", "$comment", "deprecated", "readOnly", "writeOnly", "$anchor"}
NOTES |= {
    "$schema",
    "$id",
    "$defs",
    "definitions",
    "discriminator",
    "$vocabulary",
    "$dynamicAnchor",
    "$recursiveAnchor",
}
NOTES |= {"id", "contentEncoding", "contentMediaType", "contentSchema"}
OLD_DRAFTS = ("draft-04", "draft-06", "draft-07")
"""In these nothing counts beside a `$ref`."""


class Writable:
    """Makes of one document, or of a node in it, a schema of its own."""

    def __init__(self, document: dict[str, Json]) -> None:
        self._document = document
        dialect = document.get("$schema")
        self._is_old = isinstance(dialect, str) and any(draft in dialect for draft in OLD_DRAFTS)
        self._names: dict[tuple[str, bool], str] = {}
        self._defs: dict[str, Json] = {}
        self._level = 0

    def schema(self, node: Json, steps: tuple[Step, ...] = ()) -> dict[str, Json]:
        """Of the document's node at some steps. Raises Unheld."""
        closed = self._value(node, steps)
        top: dict[str, Json] = dict(closed) if isinstance(closed, dict) else {"allOf": [closed]}
        if self._defs:
            top["$defs"] = self._defs
        return top

    def _value(self, node: Json, steps: tuple[Step, ...]) -> Json:
        """What stands for a whole value."""
        if not isinstance(node, dict):
            return node
        node = self._asking(node)
        if node.keys() == {"$ref"}:
            return {"$ref": self._defined(node, steps, is_whole=True)}
        if not node.keys() & IN_PLACE:
            return self._conjunction([node], [self._open(node, steps)])
        key = next((key for key in CHOICES if key in node), None)
        if key is None or len(node.keys() & set(CHOICES)) > 1:
            return self._conjunction([node], [self._open(node, steps)])
        rest = {name: part for name, part in node.items() if name != key}
        branches = _items(node[key])
        sides = [[part for side in (branch, rest) for part in self._reached(side)] for branch in branches]
        if key == "oneOf" and not exclude_each_other(sides):
            return self._conjunction([node], [self._open(node, steps)])
        open_rest = [self._open(rest, steps)] if rest else []
        each = []
        for index, branch in enumerate(branches):
            inner = (*steps, key, index)
            if not rest:
                each.append(self._value(branch, inner))
            elif isinstance(branch, dict):
                each.append(self._conjunction([rest, branch], [*open_rest, self._open(branch, inner)]))
            else:
                each.append({"allOf": [self._conjunction([rest], open_rest), branch]})
        return {"anyOf": each}

    def _conjunction(self, nodes: list[dict[str, Json]], opened: list[dict[str, Json]]) -> dict[str, Json]:
        """All of them at once, and what a column can hold of it."""
        reached = [part for node in nodes for part in self._reached(node)]
        names = {name: True for part in reached for name in declared(part)}
        bound: dict[str, Json] = {}
        if not any("type" in part or "enum" in part or "const" in part for part in reached):
            if any("properties" in part for part in reached):
                bound["type"] = "object"
            elif any("items" in part for part in reached):
                bound["type"] = "array"
        if any("properties" in part for part in reached) and not any(part.keys() & OPEN for part in reached):
            bound |= {"properties": dict(names), "additionalProperties": False}
        parts = [*opened, bound] if bound else opened
        if len(parts) == 1:
            return parts[0]
        if len(opened) == 1 and not opened[0].keys() & IN_PLACE:
            properties = {**names, **_mapping(opened[0].get("properties"))} if "properties" in bound else None
            return {**opened[0], **bound, **({"properties": properties} if properties is not None else {})}
        return {"allOf": list(parts)}

    def _open(self, node: Json, steps: tuple[Step, ...]) -> dict[str, Json]:
        """One of the things that are said of a value; others may say more."""
        if not isinstance(node, dict):
            return {"allOf": [node]}
        self._level += 1
        if self._level > MAX_LEVELS:
            raise Unheld("the schema", steps, f"more than {MAX_LEVELS} levels deep")
        node = self._asking(node)
        made: dict[str, Json] = {}
        for key, part in node.items():
            here = (*steps, key)
            if key in UNHELD:
                raise Unheld(key, here)
            if key == "$ref":
                made[key] = self._defined(node, steps, is_whole=False)
            elif key in ("allOf", *CHOICES):
                made[key] = [self._open(item, (*here, at)) for at, item in enumerate(_items(part))]
            elif key in ONE and not isinstance(part, list):
                made[key] = self._value(part, here)
            elif key in MANY and isinstance(part, list):
                made[key] = [self._value(item, (*here, at)) for at, item in enumerate(part)]
            elif key in NAMED and isinstance(part, dict):
                inner = {name: self._value(item, (*here, name)) for name, item in part.items()}
                if key == "patternProperties":
                    inner = {spelled_pattern(name, here): item for name, item in inner.items()}
                made[key] = inner
            elif key in NAMED:
                raise Unheld(key, here, "that is no object")
            else:
                made[key] = part
        self._level -= 1
        return spelled_leaf(made, steps)

    def _asking(self, node: dict[str, Json]) -> dict[str, Json]:
        """The keys of a node that ask for something."""
        if self._is_old and "$ref" in node:
            return {"$ref": node["$ref"]}
        return {
            key: part for key, part in node.items() if key not in NOTES and not (key == "uniqueItems" and part is False)
        }

    def _defined(self, node: dict[str, Json], steps: tuple[Step, ...], *, is_whole: bool) -> str:
        reference = node["$ref"]
        assert isinstance(reference, str)
        if (reference, is_whole) not in self._names:
            name = self._names[reference, is_whole] = f"d{len(self._names)}"
            target, place = self._target(reference, steps)
            self._level += 1
            make: Callable[[Json, tuple[Step, ...]], Json] = self._value if is_whole else self._open
            self._defs[name] = make(target, place)
            self._level -= 1
        return f"#/$defs/{self._names[reference, is_whole]}"

    def _target(self, reference: str, steps: tuple[Step, ...]) -> tuple[Json, tuple[Step, ...]]:
        found: Json = self._document
        place: list[Step] = []
        for step in unquote(reference).removeprefix("#").split("/")[1:]:
            step = step.replace("~1", "/").replace("~0", "~")
            place.append(int(step) if isinstance(found, list) and step.isdecimal() else step)
            try:
                found = found[int(step)] if isinstance(found, list) else found[step]  # pyright: ignore
            except (LookupError, ValueError, TypeError):
                raise Unheld("$ref", (*steps, "$ref"), "to a place that there is not") from None
        if not reference.startswith("#/") and reference != "#":
            raise Unheld("$ref", (*steps, "$ref"), "to another name than a place such as #/$defs/name")
        return found, tuple(place)

    def _reached(self, node: Json, passed: frozenset[str] = frozenset()) -> Iterator[dict[str, Json]]:
        """Whatever is said of the same value: the node, what it refers to, and its alternatives."""
        if not isinstance(node, dict):
            return
        node = self._asking(node)
        yield node
        if isinstance(reference := node.get("$ref"), str) and reference not in passed and len(passed) < MAX_LEVELS:
            yield from self._reached(self._target(reference, ())[0], passed | {reference})
        for key in ("allOf", *CHOICES):
            for item in _items(node.get(key)):
                yield from self._reached(item, passed)


def _items(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _mapping(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}
