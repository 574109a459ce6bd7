"""An answer in, the values of a label's columns out. Parsers are total: any text is a label or a reject.

A reject's reason never quotes the text. Knows nothing of tokens, of how the text was generated, or of reasoning in it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Never

import regex
from pydantic import JsonValue

from relabel.data.labels.arrow_types import arrow_value, value_types
from relabel.data.labels.validator import Validator
from relabel.errors import RowRejected
from relabel.rejected import Code, Rejected
from relabel.spec import Label
from relabel.spec.schemas.json_schema import properties_of

Parser = Callable[[str], dict[str, object]]
Taker = Callable[[str], Mapping[str, JsonValue]]
"""What finds the values of a label in a text, before they have the types of its columns."""

NOTHING_WRITTEN = Rejected(Code.PARSE, "the model wrote nothing")
MAX_DEPTH = 64
"""Levels of JSON. Below 255 jsonschema-rs reports no error, and each version of Python's decoder has its own limit."""
PATTERN_SECONDS = 1
"""A pattern such as (a+)+$ takes time exponential in the text. A thousand times what a sound one takes for a page."""

_TOO_DEEP = Code.PARSE, "the JSON is nested too deeply"

_AROUND = " \t\r\n\"'`*_.,:;!?()[]{}“”„\u2018\u2019«»"
_FENCE = re.compile(r"```[^\n`]*\n(.*?)```", re.DOTALL)
_CUT = re.compile(r"|-|tr?u?|fa?l?s?|nu?l?|\.|[eE][+-]?|u[0-9a-fA-F]{0,4}")
"""What may be left of the text where it was cut inside a word, a number or an escape."""


def make_parser(label: Label) -> Parser:
    """A function that takes a label from an answer, or raises RowRejected (parse)."""
    take, types = _TAKERS[label.parse](label), value_types(label)

    def parse(text: str) -> dict[str, object]:
        if not (stripped := text.strip()):
            raise RowRejected(NOTHING_WRITTEN.code, NOTHING_WRITTEN.detail)
        found = take(text if label.parse == "regex" else stripped)  # a pattern may ask for the space around
        return {column: arrow_value(value, types[column]) for column, value in found.items()}

    return parse


def _take_text(label: Label) -> Taker:
    return lambda text: {label.column: text}


def _take_last_line(label: Label) -> Taker:
    return lambda text: {label.column: _last_line(text)}


def _take_match(label: Label) -> Taker:
    pattern = regex.compile(label.pattern or "")

    def take(text: str) -> Mapping[str, JsonValue]:
        try:
            found = _found(pattern, text)
        except TimeoutError as error:
            raise RowRejected(Code.PARSE, f"the pattern took more than {PATTERN_SECONDS} s") from error
        if found is None:
            raise RowRejected(Code.PARSE, "the pattern matches nothing")
        return found.groupdict() or {label.column: found[0]}

    return take


def _found(pattern: regex.Pattern[str], text: str) -> regex.Match[str] | None:
    """The whole text as it is read, or as it was written, or the first piece of it that matches."""
    for whole in (text.strip(), text, text.removeprefix(" ")):
        if found := pattern.fullmatch(whole, timeout=PATTERN_SECONDS):
            return found
    return pattern.search(text.strip(), timeout=PATTERN_SECONDS)


def _take_choice(label: Label) -> Taker:
    exact = {choice: [choice] for choice in label.choices or []}
    plain: dict[str, list[str]] = {}
    for choice in exact:
        plain.setdefault(_plain(choice), []).append(choice)
    plain.pop("", None)  # of a choice that is nothing but marks, any other marks would be an equal

    def take(text: str) -> Mapping[str, JsonValue]:
        answers = (text, _last_line(text))
        for found in (*(exact.get(answer) for answer in answers), *(plain.get(_plain(answer)) for answer in answers)):
            if found is not None and len(found) == 1:
                return {label.column: found[0]}
        raise RowRejected(Code.PARSE, "none of the choices")

    return take


def _take_json(label: Label) -> Taker:
    schema = label.json_schema or {}
    validator, columns = Validator(schema), list(properties_of(schema))

    def take(text: str) -> Mapping[str, JsonValue]:
        try:
            value = _decode(text)
        except RecursionError as error:
            raise RowRejected(*_TOO_DEEP) from error
        if _depth(value) > MAX_DEPTH:
            raise RowRejected(*_TOO_DEEP)
        if (misfit := validator.misfit(value)) is not None:
            raise RowRejected(Code.PARSE, misfit)
        if not columns:
            return {label.column: value}
        if not isinstance(value, dict):  # of a schema that does not say `type: object`
            raise RowRejected(Code.PARSE, "the JSON is no object")
        return {column: value.get(column) for column in columns}

    return take


_TAKERS: dict[str, Callable[[Label], Taker]] = {
    "text": _take_text,
    "last_line": _take_last_line,
    "regex": _take_match,
    "choice": _take_choice,
    "json": _take_json,
}


def _last_line(text: str) -> str:
    return text.splitlines()[-1].strip()


def _plain(text: str) -> str:
    return text.strip(_AROUND).casefold()


def _decode(text: str) -> JsonValue:
    """The JSON that a text is, or that a fence in it holds, or that begins with its first bracket."""
    for candidate in (text, *(match[1].strip() for match in _FENCE.finditer(text))):
        try:
            return _DECODER.decode(candidate)
        except json.JSONDecodeError:
            continue
    bracket = re.search(r"[{[]", text)
    try:
        return _DECODER.raw_decode(text, bracket.start())[0] if bracket else _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise RowRejected(Code.PARSE, _what_is_wrong(error, text)) from error


def _what_is_wrong(error: json.JSONDecodeError, text: str) -> str:
    if error.msg in ("NaN", "Infinity", "-Infinity"):
        return f"JSON has no {error.msg}"
    if error.msg.startswith("Unterminated string"):
        return "the JSON ends too early"
    has_begun = error.pos > 0 and error.msg != "Extra data"
    return "the JSON ends too early" if has_begun and _CUT.fullmatch(text, error.pos) else "not JSON"


def _depth(value: JsonValue) -> int:
    """The levels of lists and objects, counted no further than is allowed."""
    level, depth = [value], 0
    while depth <= MAX_DEPTH and (wholes := [part for part in level if isinstance(part, dict | list)]):
        level = [part for whole in wholes for part in (whole.values() if isinstance(whole, dict) else whole)]
        depth += 1
    return depth


def _object(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    if len(fields := dict(pairs)) < len(pairs):
        raise RowRejected(Code.PARSE, "the JSON has a key twice")
    return fields


def _number(digits: str, kind: type[int] | type[float]) -> int | float:
    # Python refuses integers of more than 4,300 digits with a ValueError, and floats beyond 1e308 become inf.
    if math.isinf(float(digits)):
        raise RowRejected(Code.PARSE, "a number is beyond 64 bits")
    return kind(digits)


def _no_such_constant(name: str) -> Never:
    raise json.JSONDecodeError(name, "", 0)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_int=lambda digits: _number(digits, int),
    parse_float=lambda digits: _number(digits, float),
    parse_constant=_no_such_constant,
)
