"""What checks a value by a JSON schema: jsonschema, with patterns that are given up where they take too long.

Knows loaded schemas and plain values; nothing of texts, of columns, or of what becomes of a value that does not fit.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

import regex
from jsonschema import Draft202012Validator, FormatChecker, validators
from jsonschema.exceptions import ValidationError

from relabel.spec.json_schema import target_of

PATTERN_SECONDS = 1
"""A pattern such as (a+)+$ takes time exponential in the text. A thousand times what a sound one takes for a page."""

_FORMATS = FormatChecker(["date", "email", "ipv4", "ipv6", "uuid"])
"""Not all that jsonschema knows: it checks the others only where further packages happen to be installed."""
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?([zZ]|[+-]([01]\d|2[0-3]):[0-5]\d)", re.ASCII)


def make_validator(schema: dict[str, Any]) -> Any:
    """Checks values by a loaded schema, its common formats included: they hold for a constrained model too.

    Its methods raise TimeoutError where a pattern takes more than PATTERN_SECONDS.
    """

    def unevaluated_properties(validator: Any, _: Any, value: Any, node: dict[str, Any]) -> Iterator[ValidationError]:
        if isinstance(value, dict) and not value.keys() <= set(_evaluated(schema, validator, value, node)):
            yield ValidationError("unevaluated properties")

    # jsonschema's own patterns use `re`, which cannot be stopped.
    patient = {
        "multipleOf": _multiple_of,
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional_properties,
        "unevaluatedProperties": unevaluated_properties,
    }
    # With a $schema it would go back to its own where a reference leads to the top.
    top = {key: part for key, part in schema.items() if key != "$schema"}
    return validators.extend(Draft202012Validator, patient)(top, format_checker=_FORMATS)


def _multiple_of(_: Any, factor: float, value: Any, node: dict[str, Any]) -> Iterator[ValidationError]:
    # as decimals: of 0.3 and 0.1 jsonschema's own finds a rest
    if not isinstance(value, int | float) or isinstance(value, bool):
        return
    is_number = isinstance(value, int) or math.isfinite(value)
    if not is_number or Fraction(value if isinstance(value, int) else repr(value)) % Fraction(repr(factor)):
        yield ValidationError("multipleOf")


def _pattern(_: Any, pattern: str, value: Any, node: dict[str, Any]) -> Iterator[ValidationError]:
    if isinstance(value, str) and not _matches(pattern, value):
        yield ValidationError("the pattern")


def _pattern_properties(
    validator: Any, patterns: dict[str, Any], value: Any, node: dict[str, Any]
) -> Iterator[ValidationError]:
    for pattern, part in patterns.items() if isinstance(value, dict) else ():
        for key in value:
            if _matches(pattern, key):
                yield from validator.descend(value[key], part, path=key, schema_path=pattern)


def _additional_properties(
    validator: Any, additional: Any, value: Any, node: dict[str, Any]
) -> Iterator[ValidationError]:
    if not isinstance(value, dict):
        return
    keys = [key for key in value if key not in node.get("properties", {}) and not _matches_any(node, key)]
    if additional is not False:
        for key in keys:
            yield from validator.descend(value[key], additional, path=key)
    elif keys:
        yield ValidationError("additional properties")


def _evaluated(schema: dict[str, Any], validator: Any, value: dict[str, Any], node: Any) -> Iterator[str]:
    """The keys of an object that a node of the schema says something of, or what it applies to the same object."""
    if not isinstance(node, dict):
        return

    def fits(part: Any, value: Any = value) -> bool:
        return validator.evolve(schema=part).is_valid(value)

    yield from node.get("properties", ())
    yield from (key for key in value if _matches_any(node, key))
    for keyword in ("additionalProperties", "unevaluatedProperties"):
        if keyword in node:
            yield from (key for key, part in value.items() if fits(node[keyword], part))
    for part in _applied(schema, value, node, fits):
        yield from _evaluated(schema, validator, value, part)


def _applied(schema: dict[str, Any], value: dict[str, Any], node: dict[str, Any], fits: Any) -> Iterable[Any]:
    """The nodes that a node applies to the same object."""
    yield from (target_of(schema, node[keyword]) for keyword in ("$ref", "$dynamicRef") if keyword in node)
    yield from (part for key, part in node.get("dependentSchemas", {}).items() if key in value)
    for keyword in ("allOf", "oneOf", "anyOf"):
        yield from (part for part in node.get(keyword, ()) if fits(part))
    if "if" in node:
        is_met = fits(node["if"])
        yield from (node[keyword] for keyword in (("if", "then") if is_met else ("else",)) if keyword in node)


def _matches_any(node: dict[str, Any], key: str) -> bool:
    return any(_matches(pattern, key) for pattern in node.get("patternProperties", ()))


def _matches(pattern: str, text: str) -> bool:
    return regex.search(pattern, text, timeout=PATTERN_SECONDS) is not None


@_FORMATS.checks("time")
def _is_time(value: object) -> bool:
    return not isinstance(value, str) or bool(_TIME.fullmatch(value))


@_FORMATS.checks("date-time")
def _is_date_time(value: object) -> bool:
    return not isinstance(value, str) or bool(
        value[10:11] in ("T", "t") and _FORMATS.conforms(value[:10], "date") and _TIME.fullmatch(value[11:])
    )
