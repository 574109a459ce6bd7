"""The JSON schema of a label: where it comes from, whether it is valid, and what its references stand for.

Imports the class that a spec names, and nothing else; follows no reference out of the schema. Knows nothing of values.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Iterator, Set
from datetime import date
from pathlib import Path
from typing import Any, Never, cast
from urllib.parse import unquote

import jsonschema_rs
import yaml
from pydantic import BaseModel

from relabel.spec.schemas.formats import format_checks
from relabel.spec.schemas.places import MAX_LEVELS, levels, places, with_booleans
from relabel.spec.words import load_yaml

RULES = 2
"""Of formats, patterns, drafts, and of the columns of an `allOf`. Another version labels the same text otherwise."""
JsonSchema = dict[str, Any]
"""A JSON schema, or an object in one; what its keys hold depends on the key."""

_PATTERNS = jsonschema_rs.FancyRegexOptions(backtrack_limit=10_000, size_limit=2**26)
"""Most patterns take linear time. Only those with lookaround or back references track back: on a text of 100,000
characters for 2 s at most. `^.{1,10000}$` needs 20 MB."""
_AT_THE_TOP = {
    "$id": "so that references in it mean another document",
    "$schema": "so that part of it would be read by other rules",
}
_ENVELOPES = ("schema", "json_schema", "parameters", "input_schema")
"""Where APIs for structured outputs and for tools keep the schema."""
_ASKING = {"type", "properties", "items", "enum", "const", "anyOf", "oneOf", "allOf", "$ref", "required", "not", "if"}


def load_schema(value: object) -> JsonSchema:
    """The schema that a spec names. Raises ValueError with a sentence where there is none, or not a valid one."""
    try:
        schema = _find(value) if isinstance(value, str) else value
    except RecursionError as error:
        raise ValueError("the JSON schema is nested too deeply") from error
    if not isinstance(schema, dict):
        raise ValueError("a JSON schema is an object; give it inline, as a .json or .yaml file, or as module:Class")
    around = [key for key in _ENVELOPES if isinstance(schema.get(key), dict)]
    if around and not schema.keys() & _ASKING:
        raise ValueError(f"this is no JSON schema but an object around one: give what stands under {around[0]!r}")
    try:
        # What YAML reads as a date, for example, is no JSON; half a surrogate pair is, but can be no column's name.
        text = json.dumps(with_booleans(schema), allow_nan=False, ensure_ascii=False, default=_refuse)
        schema = json.loads(text.encode())
    except RecursionError as error:
        raise ValueError("the JSON schema is nested too deeply") from error
    except (TypeError, ValueError) as error:
        raise ValueError(f"the JSON schema holds a value that JSON does not have: {error}") from error
    _check_levels(schema)
    for key, why in _AT_THE_TOP.items():
        if any(_strings([part for name, part in schema.items() if name != key], key)):
            raise ValueError(f"the JSON schema has {key} inside, {why}; remove it")
    for reference in _references(schema):
        if not reference.startswith("#"):
            raise ValueError(f"the JSON schema refers to {reference!r}; copy that into its own $defs")
        target = resolved(schema, {"$ref": reference})
        if isinstance(target, dict) and "$ref" in target:
            raise ValueError(f"the JSON schema refers to {reference!r}, which stands for nothing but itself")
    compiled(schema)
    return schema


def _refuse(value: object) -> Never:
    if isinstance(value, date):
        raise ValueError(f"{value} is a date in YAML; put it in quotes")
    raise TypeError(f"a {type(value).__name__}")


def compiled(schema: JsonSchema) -> jsonschema_rs.Validator:
    """What checks values by a schema, its common formats included: they hold for a constrained model too.

    The draft is the one that `$schema` names, 2020-12 where there is none. Raises ValueError with a sentence where the
    schema is not valid.
    """
    try:
        return jsonschema_rs.validator_for(
            schema,
            pattern_options=_PATTERNS,
            validate_formats=True,
            formats=dict(format_checks()),
            retriever=_retrieve,
        )
    except jsonschema_rs.ValidationError as error:
        place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.instance_path)
        raise ValueError(f"the JSON schema is not valid at ${place}: {error.message[:200]}") from error


def rules_of(schema: JsonSchema) -> int | None:
    """The version of the rules that judge values, None where all versions agree on the schema."""
    drafts = (None, "https://json-schema.org/draft/2020-12/schema")
    is_ruled = schema.get("$schema") not in drafts or any(
        node.keys() & {"format", "pattern", "patternProperties"} or len(node.get("allOf", ())) > 1
        for _, node in places(schema)
    )
    return RULES if is_ruled else None


def resolved(schema: JsonSchema, node: object) -> object:
    """A node of a schema with what its $ref and its allOf stand for put in place."""
    return _follow(schema, node)[0]


def is_recursive(schema: JsonSchema, node: object) -> bool:
    """Whether what a node's $ref stands for holds the same $ref again."""
    return any(start in _reachable(schema, start) for start in _follow(schema, node)[1])


def properties_of(schema: JsonSchema) -> JsonSchema:
    """The properties of the object that a schema describes; none where it describes something else."""
    top = resolved(schema, schema)
    return dict(top.get("properties", {})) if isinstance(top, dict) and top.get("type", "object") == "object" else {}


def target_of(schema: JsonSchema, reference: str) -> object:
    """The node that a reference stands for. Raises ValueError where there is none."""
    node: object = schema
    first, *steps = unquote(reference).removeprefix("#").split("/")
    if first:
        raise ValueError(f"the JSON schema refers to the anchor {reference!r}; name its place, such as #/$defs/name")
    for step in steps:
        step = step.replace("~1", "/").replace("~0", "~")
        try:
            node = _child(node, step)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise ValueError(f"the JSON schema refers to {reference!r}, which it does not have") from error
    return node


def _check_levels(schema: JsonSchema) -> None:
    own = set(_references(schema))
    if len(own) > MAX_LEVELS or levels(schema) + sum(levels(_target(schema, name)) for name in own) > MAX_LEVELS:
        raise ValueError(
            f"the JSON schema has more than {MAX_LEVELS:,} levels of schemas in one another, references followed; "
            "leave out $defs that it does not need"
        )


def _target(schema: JsonSchema, reference: str) -> object:
    try:
        return target_of(schema, reference)
    except ValueError:
        return None  # named by whoever follows it


def _child(node: object, step: str) -> object:
    return node[int(step)] if isinstance(node, list) else cast(JsonSchema, node)[step]


def _retrieve(uri: str) -> Never:
    """What a schema refers to elsewhere is never fetched: not over the network, not from a file."""
    raise ValueError(f"{uri} is another document; copy that into the schema's own $defs")


def _find(value: str) -> object:
    if value.lstrip().startswith("{"):
        return json.loads(value)
    module, colon, name = value.partition(":")
    if colon and module and name.isidentifier():
        return _from_class(module, name)
    try:
        return load_yaml(Path(value).expanduser().read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"cannot read the JSON schema {value}: {error.strerror or error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{value} is neither JSON nor YAML: {' '.join(str(error).split())[:200]}") from error


def _from_class(module: str, name: str) -> object:
    sys.path.insert(0, os.getcwd())  # a schema.py beside the spec, which the command `relabel` would not find
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"cannot import {module}:{name}: {error}") from error
    finally:
        sys.path.pop(0)
    if not (isinstance(found, type) and issubclass(found, BaseModel)):
        raise ValueError(f"{module}:{name} is no pydantic model")
    return found.model_json_schema()


def _strings(node: object, key: str) -> Iterator[str]:
    """The texts under a key, wherever in a node it is."""
    if isinstance(node, dict):
        if isinstance(node.get(key), str):
            yield node[key]
        for value in node.values():
            yield from _strings(value, key)
    elif isinstance(node, list):
        for value in node:
            yield from _strings(value, key)


def _references(node: object) -> Iterator[str]:
    yield from _strings(node, "$ref")
    yield from _strings(node, "$dynamicRef")


def _reachable(schema: JsonSchema, start: str) -> set[str]:
    """The references in what a reference stands for, those in what they stand for, and so on."""
    found, ahead = set(), [start]
    while ahead:
        new = set(_references(target_of(schema, ahead.pop()))) - found
        found |= new
        ahead += new
    return found


def _follow(schema: JsonSchema, node: object, before: Set[str] = frozenset()) -> tuple[object, set[str]]:
    """The node that a node stands for, and the references on the way there."""
    passed = set(before)
    while isinstance(node, dict):
        beside = dict(node)
        if "$ref" in node and node["$ref"] not in passed:
            passed.add(reference := beside.pop("$ref"))
            target = target_of(schema, reference)
        elif members := node.get("allOf"):
            target: object = {}
            for member in reversed(beside.pop("allOf")):
                followed, others = _follow(schema, member, passed)
                passed = passed | others
                if isinstance(followed, dict) and isinstance(target, dict):
                    own = {key: part for key, part in followed.items() if key != "$ref"}  # else a circle
                    target = _merged(own, target)
                elif len(members) == 1:
                    target = followed
        else:
            break
        node = _merged(target, beside) if isinstance(target, dict) else target
    return node, passed


def _merged(target: JsonSchema, beside: JsonSchema) -> JsonSchema:
    merged = {**target, **beside}
    if "properties" in target and "properties" in beside:
        merged["properties"] = {**target["properties"], **beside["properties"]}
    return merged
