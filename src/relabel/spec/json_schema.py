"""Where the JSON schema of a label comes from: the spec itself, a file, or a pydantic class. A dict from there on.

Imports the class that a spec names, and nothing else; follows no reference out of the schema.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from pydantic import BaseModel


def load_schema(value: Any) -> dict[str, Any]:
    """The schema that a spec names. Raises ValueError with a sentence where there is none, or not a valid one."""
    schema = _find(value) if isinstance(value, str) else value
    if not isinstance(schema, dict):
        raise ValueError("a JSON schema is an object; give it inline, as a .json or .yaml file, or as module:Class")
    try:
        schema = json.loads(json.dumps(schema, allow_nan=False))  # what YAML reads as a date, for example, is no JSON
        Draft202012Validator.check_schema(schema)
    except (TypeError, ValueError) as error:
        raise ValueError(f"the JSON schema holds a value that JSON does not have: {error}") from error
    except SchemaError as error:
        raise ValueError(f"the JSON schema is not valid at {error.json_path}: {error.message[:200]}") from error
    for reference in _references(schema):
        if not reference.startswith("#"):
            raise ValueError(f"the JSON schema refers to {reference!r}; copy that into its own $defs")
        _resolve(schema, reference)
    return schema


def resolved(schema: dict[str, Any], node: Any) -> Any:
    """A node of a schema, or what its $ref stands for."""
    seen = set()
    while isinstance(node, dict) and "$ref" in node and node["$ref"] not in seen:
        seen.add(node["$ref"])
        rest = {key: value for key, value in node.items() if key != "$ref"}
        target = _resolve(schema, node["$ref"])
        node = {**target, **rest} if isinstance(target, dict) else target
    return node


def properties_of(schema: dict[str, Any]) -> dict[str, Any]:
    """The properties of the object that a schema describes; none where it describes something else."""
    top = resolved(schema, schema)
    return dict(top.get("properties", {})) if isinstance(top, dict) and top.get("type", "object") == "object" else {}


def _find(value: str) -> Any:
    module, colon, name = value.partition(":")
    if colon and module and name.isidentifier():
        return _from_class(module, name)
    try:
        return yaml.safe_load(Path(value).expanduser().read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"cannot read the JSON schema {value}: {error.strerror or error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{value} is neither JSON nor YAML: {' '.join(str(error).split())[:200]}") from error


def _from_class(module: str, name: str) -> Any:
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


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def _resolve(schema: dict[str, Any], reference: str) -> Any:
    node: Any = schema
    for step in reference.removeprefix("#").split("/")[1:]:
        step = step.replace("~1", "/").replace("~0", "~")
        try:
            node = node[int(step)] if isinstance(node, list) else node[step]
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise ValueError(f"the JSON schema refers to {reference!r}, which it does not have") from error
    return node
