"""Small JSON schemas, each about one feature, and what a library for constrained decoding makes of each.

The schemas are made so that text which ignores the feature is soon invalid: few values, few properties. Formats are
judged by the parsers here, since jsonschema checks many of them only where further packages are installed.
"""

import ipaddress
import json
import os
import random
import re
import tempfile
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

import numpy as np
import torch
from jsonschema import Draft202012Validator, FormatChecker
from pydantic import BaseModel, Field
from transformers import PreTrainedTokenizerFast

FORMATS = FormatChecker(formats=())
WALKS, MAX_TOKENS = 30, 600


class Refused(Exception):
    """The library does not take the schema."""


@dataclass(frozen=True, kw_only=True)
class Matcher:
    """Where one row's text is in its grammar: what comes next into a row of the masks, and one token further."""

    inner: Any
    fill: Callable[[torch.Tensor, int], Any]
    accept: Callable[[int], bool]


Fresh = Callable[[], Matcher]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One feature: a schema, and valid instances which a constraint must let through."""

    name: str
    schema: dict[str, Any]
    instances: tuple[Any, ...]
    ascii_only: bool = False


def _format(name: str) -> Callable[[Callable[[str], Any]], Callable[[str], Any]]:
    """Registers a parser that raises ValueError, or answers False, on text that is not of the format."""

    def register(parse: Callable[[str], Any]) -> Callable[[str], Any]:
        FORMATS.checks(name, raises=ValueError)(lambda value: not isinstance(value, str) or parse(value) is not False)
        return parse

    return register


@_format("date")
def _date(text: str) -> Any:
    return bool(re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII)) and date.fromisoformat(text)


@_format("time")
def _time(text: str) -> Any:
    return _date_time(f"2024-02-29T{text}")


@_format("date-time")
def _date_time(text: str) -> Any:
    match = re.fullmatch(
        r"(\d{4}-\d\d-\d\d)[Tt]((?:[01]\d|2[0-3]):[0-5]\d:)(\d\d)(?:\.\d+)?([Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)",
        text,
        re.ASCII,
    )
    # RFC 3339 has leap seconds, which datetime does not read.
    return match is not None and datetime.fromisoformat(f"{match[1]}T{match[2]}{match[3].replace('60', '59')}")


@_format("email")
def _email(text: str) -> Any:
    # RFC 5321: dotted atoms or a quoted local part, and a domain or an address in brackets.
    local = r"[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*|\"(?:[^\"\\\x00-\x1f\x7f]|\\[ -~])*\""
    return bool(re.fullmatch(rf"(?:{local})@(?:[a-zA-Z0-9.-]+|\[[0-9A-Za-z:.-]+\])", text, re.ASCII))


@_format("uri")
def _uri(text: str) -> Any:
    return bool(re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*:[\w:/?#\[\]@!$&'()*+,;=.~%-]*", text, re.ASCII))


@_format("uuid")
def _uuid(text: str) -> Any:
    return bool(re.fullmatch(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text)) and uuid.UUID(text)


@_format("ipv4")
def _ipv4(text: str) -> Any:
    return ipaddress.IPv4Address(text)


class _Line(BaseModel):
    item: str = Field(max_length=12)
    count: int = Field(ge=1, le=20)


class _Receipt(BaseModel):
    """What a pydantic user would write: nested models, a union with null, a literal, a list with bounds."""

    kind: Literal["sale", "refund"]
    lines: list[_Line] = Field(min_length=1, max_length=2)
    note: str | None = Field(default=None, max_length=12)


def _object(properties: dict[str, Any], required: list[str] | None = None, **more: Any) -> dict[str, Any]:
    """A closed object; all its properties are required unless a list says which."""
    names = list(properties) if required is None else required
    return {"type": "object", "properties": properties, "required": names, "additionalProperties": False, **more}


_WORD = {"type": "string", "enum": ["x", "yz", "é"]}
_BIT = {"type": "integer", "minimum": 0, "maximum": 1}
_SMALL = {"type": "integer", "minimum": 0, "maximum": 9}
_TREE = _object({"v": _SMALL, "kids": {"type": "array", "items": {"$ref": "#/$defs/node"}, "maxItems": 2}})
_PAIR = {"type": "object", "properties": {"a": _BIT, "b": _BIT}, "additionalProperties": False}
_BITS = {"type": "array", "items": _BIT, "maxItems": 4}
_OPEN = {"type": "object", "properties": {"a": _BIT}, "required": ["a"]}


def _nested(depth: int) -> dict[str, Any]:
    return _object({"in": _nested(depth - 1)}) if depth else _SMALL


def _nest(depth: int) -> Any:
    return {"in": _nest(depth - 1)} if depth else 3


def _case(name: str, schema: dict[str, Any], *instances: Any, ascii_only: bool = False) -> Case:
    return Case(name=name, schema=schema, instances=instances, ascii_only=ascii_only)


CASES = (
    _case("string", {"type": "string"}, "", "a b", 'q"\\/\n', "日本 é 😀"),
    _case("string, escaped as ASCII", {"type": "string"}, "é", "日本", "\u0001", "😀", ascii_only=True),
    _case("integer", {"type": "integer"}, 0, -7, 12345678901),
    _case("number", {"type": "number"}, 0, -7.25, 1e-7, 1.5e300),
    _case("boolean and null", {"type": ["boolean", "null"]}, True, False, None),
    _case("union of types", {"type": ["string", "integer", "null"]}, "x", 3, None),
    _case("nullable by anyOf", {"anyOf": [_WORD, {"type": "null"}]}, "x", None),
    _case("no type", {}, 1, "x", [1, {"a": None}], {"b": [True]}),
    _case("enum of strings", {"enum": ["red", "blue", 'say "no"', "été"]}, "red", 'say "no"', "été"),
    _case("enum of mixed values", {"enum": ["a", 1, None, True, [1, 2], {"k": "v"}]}, "a", 1, [1, 2], {"k": "v"}),
    _case("const", {"const": {"k": [1, "x", None]}}, {"k": [1, "x", None]}),
    _case("anyOf", {"anyOf": [_object({"a": _BIT}), _object({"b": _BIT})]}, {"a": 1}, {"b": 0}),
    _case("oneOf, disjoint", {"oneOf": [_WORD, _SMALL]}, "x", 4),
    _case("oneOf, overlapping", {"oneOf": [_SMALL, {"type": "integer", "minimum": 5, "maximum": 14}]}, 4, 12),
    _case("allOf", {"allOf": [{"type": "integer", "minimum": 3}, {"maximum": 12}]}, 3, 12),
    _case("allOf of patterns", {"type": "string", "allOf": [{"pattern": "^[a-m]+$"}, {"pattern": "^.[k-z]+$"}]}, "amk"),
    _case("anyOf beside properties", {**_OPEN, "anyOf": [{"required": ["b"]}, {"required": ["c"]}]}, {"a": 1, "b": 2}),
    _case(
        "allOf of objects",
        {"allOf": [{"type": "object", "properties": {"a": _BIT}, "required": ["a"]}, {"properties": {"b": _BIT}}]},
        {"a": 1},
        {"a": 1, "b": 0},
    ),
    _case("required and optional", _object({"a": _BIT, "b": _BIT, "c": _BIT}, ["b"]), {"b": 1}, {"a": 0, "b": 1}),
    _case("all optional", _object({"a": _BIT, "b": _BIT}, []), {}, {"a": 1}, {"b": 1}, {"a": 1, "b": 1}),
    _case("required, not in properties", {"type": "object", "required": ["x"]}, {"x": 1}, {"x": [None]}),
    _case("order of properties", _object({"a": _BIT, "b": _BIT}), {"a": 1, "b": 0}, {"b": 0, "a": 1}),
    _case("additionalProperties false", _object({"a": _BIT}, []), {}, {"a": 1}),
    _case("additionalProperties absent", _OPEN, {"a": 1}, {"a": 1, "more": "x"}),
    _case("additionalProperties true", {**_OPEN, "additionalProperties": True}, {"a": 1}, {"a": 1, "m": "x"}),
    _case("additionalProperties schema", {"type": "object", "additionalProperties": _SMALL}, {}, {"k": 1, "l": 2}),
    _case(
        "patternProperties",
        {"type": "object", "patternProperties": {"^n_[a-z]{1,4}$": _SMALL}, "additionalProperties": False},
        {},
        {"n_ab": 4},
    ),
    _case("propertyNames", {"type": "object", "propertyNames": {"pattern": "^[a-c]{1,3}$"}}, {}, {"ab": 1}),
    _case(
        "minProperties, of a map",
        {"type": "object", "additionalProperties": _SMALL, "minProperties": 2},
        {"k": 1, "l": 2},
    ),
    _case(
        "minProperties, optional ones",
        {**_object({"a": _BIT, "b": _BIT, "c": _BIT}, []), "minProperties": 2},
        {"a": 1, "c": 1},
    ),
    _case("maxProperties", {"type": "object", "additionalProperties": _SMALL, "maxProperties": 1}, {}, {"k": 1}),
    _case(
        "minProperties, few names",
        {"type": "object", "patternProperties": {"^[ab]$": _BIT}, "additionalProperties": False, "minProperties": 2},
        {"a": 1, "b": 0},
    ),
    _case("unevaluatedProperties", {"allOf": [_OPEN], "unevaluatedProperties": False}, {"a": 1}),
    _case("minLength and maxLength", {"type": "string", "minLength": 3, "maxLength": 5}, "abc", "日本語é😀"),
    _case("pattern", {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{3}$"}, "AB-123"),
    _case("pattern, not anchored", {"type": "string", "pattern": "[a-z]{2}"}, "ab", "1ab!"),
    _case("pattern with classes", {"type": "string", "pattern": "^\\d+\\s\\w+$"}, "12 ab"),
    _case("pattern with lookahead", {"type": "string", "pattern": "^(?=.*[0-9])[a-z0-9]{2,4}$"}, "a1", "1bcd"),
    _case("pattern and maxLength", {"type": "string", "pattern": "^[a-z]+$", "maxLength": 3}, "abc"),
    _case("format date", {"type": "string", "format": "date"}, "2024-02-29"),
    _case("format date-time", {"type": "string", "format": "date-time"}, "2024-01-31T23:59:59Z"),
    _case("format time", {"type": "string", "format": "time"}, "23:59:59Z", "10:00:00.5+02:00"),
    _case("format email", {"type": "string", "format": "email"}, "a.b+c@mail.example.org"),
    _case("format uuid", {"type": "string", "format": "uuid"}, "9b2f6c1e-3f5a-4a0e-8d0c-0f1e2d3c4b5a"),
    _case("format uri", {"type": "string", "format": "uri"}, "https://example.org/a?b=c#d"),
    _case("format of one's own", {"type": "string", "format": "colour"}, "red"),
    _case("format ipv4", {"type": "string", "format": "ipv4"}, "192.168.0.1"),
    _case("minimum and maximum, integer", {"type": "integer", "minimum": -3, "maximum": 107}, -3, 0, 99, 107),
    _case("exclusive bounds, integer", {"type": "integer", "exclusiveMinimum": 3, "exclusiveMaximum": 12}, 4, 11),
    _case("minimum alone, integer", {"type": "integer", "minimum": 18}, 18, 1999),
    _case("minimum and maximum, number", {"type": "number", "minimum": 0.5, "maximum": 2}, 0.5, 1.75, 2),
    _case("exclusive bounds, number", {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, 0.5, 0.001),
    _case("multipleOf, integer", {"type": "integer", "multipleOf": 5}, 0, 15, -20),
    _case("multipleOf, number", {"type": "number", "multipleOf": 0.5}, 0, 1.5, -2.5),
    _case("minItems and maxItems", {"type": "array", "items": _BIT, "minItems": 2, "maxItems": 3}, [0, 1], [1, 1, 1]),
    _case("uniqueItems", {**_BITS, "minItems": 2, "uniqueItems": True}, [0, 1]),
    _case("prefixItems", {"type": "array", "prefixItems": [_BIT, _WORD], "items": False, "minItems": 2}, [1, "x"]),
    _case("contains", {**_BITS, "contains": {"const": 1}}, [1], [0, 1]),
    _case("$ref and $defs", {"$defs": {"bit": _BIT}, **_object({"a": {"$ref": "#/$defs/bit"}})}, {"a": 1}),
    _case(
        "recursive $ref", {"$defs": {"node": _TREE}, "$ref": "#/$defs/node"}, {"v": 1, "kids": [{"v": 2, "kids": []}]}
    ),
    _case("dependentRequired", {**_PAIR, "dependentRequired": {"a": ["b"]}}, {}, {"b": 1}, {"a": 1, "b": 1}),
    _case(
        "if, then, else",
        {
            **_object({"a": _BIT, "b": _SMALL}),
            "if": {"properties": {"a": {"const": 1}}},
            "then": {"properties": {"b": _BIT}},
        },
        {"a": 1, "b": 0},
        {"a": 0, "b": 7},
    ),
    _case("not", {"enum": ["a", "b"], "not": {"const": "a"}}, "b"),
    _case("names in other scripts", _object({"名前": _WORD, 'a "b"': _BIT}), {"名前": "é", 'a "b"': 1}),
    _case(
        "pydantic model",
        _Receipt.model_json_schema(),
        {"kind": "sale", "lines": [{"item": "tea", "count": 2}], "note": None},
    ),
    _case("nested 12 deep", _nested(12), _nest(12)),
    _case("30 properties", _object({f"p{k}": _BIT for k in range(30)}), {f"p{k}": k % 2 for k in range(30)}),
    _case("30 optional properties", _object({f"p{k}": _BIT for k in range(30)}, []), {}, {"p3": 1, "p20": 0}),
)


def allowed(masks: torch.Tensor, row: int = 0) -> np.ndarray:
    return np.unpackbits(masks[row].numpy().view(np.uint8), bitorder="little").astype(bool)


def random_walk(
    matcher: Matcher, masks: torch.Tensor, draw: random.Random, closing: np.ndarray, eos: int
) -> list[int] | None:
    """Allowed tokens up to EOS, leaning towards the end and towards tokens that close something; None if none comes."""
    tokens: list[int] = []
    while len(tokens) < MAX_TOKENS:
        matcher.fill(masks, 0)
        options = np.flatnonzero(allowed(masks))
        rest = options[options != eos]
        if len(rest) < len(options) and (len(rest) == 0 or draw.random() < 0.6):
            return tokens
        if len(rest) == 0:
            return None
        ends = rest[closing[rest]]
        lean = len(ends) > 0 and draw.random() < (0.3 if len(tokens) < 30 else 0.9)
        tokens.append(int(draw.choice(ends if lean else rest)))
        assert matcher.accept(tokens[-1]), tokens
    return None


def objection(text: str, schema: dict[str, Any], repeats: Counter[str]) -> str | None:
    """Why a text is not valid, or None; counts texts with a key that comes twice in one object."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        repeats["texts"] += len(dict(pairs)) < len(pairs)
        return dict(pairs)

    def not_json(constant: str) -> Any:
        raise ValueError(f"{constant} is not JSON")

    try:
        value = json.loads(text, object_pairs_hook=unique, parse_constant=not_json)
    except ValueError as error:
        return str(error)
    error = next(Draft202012Validator(schema, format_checker=FORMATS).iter_errors(value), None)
    return error and error.message


def lets_through(matcher: Matcher, masks: torch.Tensor, tokens: list[int]) -> bool:
    for token in tokens:
        matcher.fill(masks, 0)
        if not allowed(masks)[token]:
            return False
        assert matcher.accept(token)
    return True


@contextmanager
def heard() -> Iterator[list[str]]:
    """Lines that the libraries' own code wrote to stderr meanwhile, past Python."""
    lines: list[str] = []
    with tempfile.TemporaryFile() as file:
        kept = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            yield lines
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            file.seek(0)
            lines += file.read().decode(errors="replace").splitlines()


def outcome_of(case: Case, compiles: Callable[[Any], Fresh], tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    """What a library makes of a case, as the outcomes of constraints.py; the first text that is not valid, and why."""
    eos, width = tokenizer.eos_token_id, len(tokenizer)
    try:
        with heard() as lines:
            fresh = compiles(case.schema)
    except Refused as refusal:
        return {"outcome": "refused", "why": " ".join(str(refusal).split())[:160]}
    masks = torch.empty((1, -(-width // 32)), dtype=torch.int32)
    closing = np.array([any(mark in tokenizer.decode([token]) for mark in '"}]') for token in range(width)])
    finished, repeats, wrong = 0, Counter(), []
    for seed in range(WALKS):
        tokens = random_walk(fresh(), masks, random.Random(seed), closing, eos)
        if tokens is not None:
            finished, text = finished + 1, tokenizer.decode(tokens)
            if why := objection(text, case.schema, repeats):
                wrong.append(f"{text[:60]!r}: {why[:100]}")
    missed = []
    for instance in case.instances:
        text = json.dumps(instance, ensure_ascii=case.ascii_only)
        assert objection(text, case.schema, Counter()) is None, (case.name, text)
        if not lets_through(fresh(), masks, [*tokenizer.encode(text, add_special_tokens=False), eos]):
            missed.append(text[:60])
    outcome = "stuck" if not finished else "unsound" if wrong else "too_strict" if missed else "sound"
    found = {"outcome": outcome, "finished": finished, "invalid": len(wrong), "why": wrong[0] if wrong else None}
    found |= {"not_let_through": missed, "warned_on_stderr": bool(lines), "texts_with_a_repeated_key": repeats["texts"]}
    return {name: value for name, value in found.items() if value}
