"""What a JSON schema says of one number or one string, in the words that a grammar holds a text to.

Knows nothing of the schemas around it.
"""

from __future__ import annotations

import re

from relabel.engine.grammar.expression import in_rust
from relabel.engine.grammar.formats import FREE, WRITTEN

Json = dict[str, "Json"] | list["Json"] | str | float | bool | None
"""A value of JSON; float stands for int as well."""
Step = str | int
LARGEST = 10**18
"""Of an integer without bounds: a column holds 64 bits, and llguidance cannot make a range of all of them."""
MAX_MULTIPLE = 1000
"""Of `multipleOf`: its automaton has as many states, and one of a million takes 19 s and 585 MB."""
_CONTROL = re.compile(r"[\x00-\x07\x0b\x0e-\x1f\x7f]")
_LOWER, _UPPER = ("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")
_NUMBERS = (*_LOWER, *_UPPER, "const", "enum", "multipleOf")


class Unheld(Exception):
    """A keyword that no text can be held to, and where it stands: steps from the schema's top."""

    def __init__(self, keyword: str, steps: tuple[Step, ...], why: str = "") -> None:
        super().__init__(keyword, steps, why)
        self.keyword, self.steps, self.why = keyword, steps, why


def spelled_leaf(node: dict[str, Json], steps: tuple[Step, ...]) -> dict[str, Json]:
    """The same of numbers and strings. Raises Unheld."""
    made = dict(node)
    if isinstance(pattern := made.get("pattern"), str):
        made["pattern"] = spelled_pattern(pattern, (*steps, "pattern"))
    if _is_integer(made) and not made.keys() & {"enum", "const"}:
        made |= _within_64_bits(made, steps)
    for key in _NUMBERS:
        _check_numbers(key, made.get(key), (*steps, key))
    for key in ("const", "enum"):
        if _has_controls(made.get(key)):
            raise Unheld(key, (*steps, key), "with a control character, which constrained texts do not have")
    return _with_format(made, (*steps, "format"))


def spelled_pattern(pattern: str, steps: tuple[Step, ...]) -> str:
    """A pattern of ECMAScript in the syntax of Rust. Raises Unheld."""
    try:
        return in_rust(pattern, "ecmascript")
    except ValueError as error:
        keyword = next(str(step) for step in reversed(steps) if step in ("pattern", "patternProperties"))
        raise Unheld(keyword, steps, f"with {error}") from error


def _has_controls(value: Json) -> bool:
    """Whether a text in a value has a character that llguidance leaves out: those that JSON has no short escape for."""
    if isinstance(value, dict | list):
        return any(_has_controls(part) for part in (value.values() if isinstance(value, dict) else value))
    return isinstance(value, str) and _CONTROL.search(value) is not None


def _is_integer(node: dict[str, Json]) -> bool:
    kinds = node.get("type")
    return kinds == "integer" or (isinstance(kinds, list) and "integer" in kinds and "number" not in kinds)


def _within_64_bits(node: dict[str, Json], steps: tuple[Step, ...]) -> dict[str, Json]:
    lower, upper = ([node[key] for key in keys if _is_number(node.get(key))] for keys in (_LOWER, _UPPER))
    for key in (*_LOWER, *_UPPER):
        bound = node.get(key)
        if isinstance(bound, int | float) and (bound > LARGEST if key in _LOWER else bound < -LARGEST):
            raise Unheld(key, (*steps, key), "beyond 10^18, within which the integers of constrained texts stay")
    bounds: dict[str, Json] = {}
    if not any(isinstance(bound, int | float) and bound >= -LARGEST for bound in lower):
        bounds["minimum"] = -LARGEST
    if not any(isinstance(bound, int | float) and bound <= LARGEST for bound in upper):
        bounds["maximum"] = LARGEST
    return bounds


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_numbers(key: str, value: Json, steps: tuple[Step, ...]) -> None:
    for number in value if isinstance(value, list) else [value]:
        if isinstance(number, int) and abs(number) <= 10**300 and int(float(number)) != number:
            raise Unheld(key, steps, "with an integer that 64 bits of floating point do not have")
        if key == "multipleOf" and isinstance(number, int | float) and number > MAX_MULTIPLE:
            raise Unheld(key, steps, f"above {MAX_MULTIPLE}")


def _with_format(node: dict[str, Json], steps: tuple[Step, ...]) -> dict[str, Json]:
    if not isinstance(name := node.get("format"), str):
        return node
    made = {key: part for key, part in node.items() if key != "format"}
    kinds = made.get("type", "string")
    if kinds != "string" and not (isinstance(kinds, list) and "string" in kinds):
        return made
    if name in FREE:
        return made
    if name not in WRITTEN:
        raise Unheld("format", steps, "of a name that no text can be held to")
    if "pattern" not in made:
        return {**made, "pattern": WRITTEN[name]}
    others = made.get("allOf")
    return {**made, "allOf": [*(others if isinstance(others, list) else []), {"pattern": WRITTEN[name]}]}
