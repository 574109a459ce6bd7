"""Whether a value fits the JSON schema of its label, and if not, where and by which rule, quoting neither.

Knows loaded schemas and plain values; nothing of texts, of columns, or of what becomes of a value that does not fit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from jsonschema_rs import ValidationError, ValidationErrorKind
from pydantic import JsonValue

from relabel.spec.schemas.json_schema import compiled

MAX_EXPLAINED = 8
"""Levels of a value whose misfit is explained: a union that refers to itself doubles the errors at each level, and 14
levels of a text of 300 characters took 4 s and 980 MB."""


class Validator:
    """Checks values by one loaded schema."""

    def __init__(self, schema: dict[str, JsonValue]) -> None:
        self._schema = compiled(schema)
        self._known = frozenset(_keys(schema))

    def misfit(self, value: JsonValue) -> str | None:
        """Why a value does not fit the schema, as a sentence; None where it fits."""
        try:
            if self._schema.is_valid(value):
                return None
            if _is_deeper(value, MAX_EXPLAINED):
                return "the JSON does not fit its schema"
            error = _most_telling(self._schema.iter_errors(value))
        except UnicodeEncodeError:
            return "a text holds half a surrogate pair"
        if isinstance(error.kind, ValidationErrorKind.BacktrackLimitExceeded):
            return "a pattern of the JSON schema took too many steps"
        place = "".join(self._step(step) for step in error.instance_path)
        rule = "false" if isinstance(error.kind, ValidationErrorKind.FalseSchema) else error.kind.name
        return f"the JSON does not fit its schema at ${place[:100]} ({rule})"

    def _step(self, step: str | int) -> str:
        """One step of a path; a key that the schema does not name is the text's, and is not quoted."""
        if isinstance(step, int):
            return f"[{step}]"
        return f".{step}" if step in self._known else ".*"


def _most_telling(errors: Iterable[ValidationError]) -> ValidationError:
    """The error nearest to the top; of one that stands for several alternatives, the alternative that fits furthest."""
    telling = min(errors, key=_rank)
    while alternatives := sorted(_alternatives(telling), key=_distance):
        first, *others = alternatives
        if others and _distance(others[0]) == _distance(first):
            break
        telling = first
    return telling


def _is_deeper(value: JsonValue, levels: int) -> bool:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(levels == 0 or _is_deeper(part, levels - 1) for part in parts)


def _distance(error: ValidationError) -> tuple[int, bool]:
    """How far the value is from an alternative: a value of its type comes nearer than one of another type."""
    return -len(error.instance_path), isinstance(error.kind, ValidationErrorKind.Type)


def _alternatives(error: ValidationError) -> Iterator[ValidationError]:
    match error.kind:
        case ValidationErrorKind.AnyOf(branches) | ValidationErrorKind.OneOfNotValid(branches):
            for branch in branches:
                yield from branch


def _rank(error: ValidationError) -> tuple[int, list[str], str]:
    return len(error.instance_path), [str(step) for step in error.instance_path], error.kind.name


def _keys(node: JsonValue) -> Iterator[str]:
    if isinstance(node, dict):
        yield from node
    for part in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _keys(part)
