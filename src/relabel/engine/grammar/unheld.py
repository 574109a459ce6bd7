"""Where a JSON schema stands in the way of a grammar: asks the grammar library, part by part.

Quotes nothing of what the library says, which is its own source. Knows nothing of rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from relabel.engine.grammar.leaf import Json, Step, Unheld
from relabel.engine.grammar.writable import MANY, NAMED, ONE, Writable

_OPTIONS = {
    "whitespace_flexible": False,
    "item_separator": ", ?",
    "key_separator": ": ?",
    "lenient": False,
    "json_allowed_escapes": 'nrbtf\\"',
}
"""On one line, with a space after commas and colons or without: free white space is a loop that never ends. What of a
schema is not supported is an error, also where the schema itself asks for leniency. No \\u: it spells keys anew."""
NOT_BLANK = r"[^\s\x1C-\x1F]"
"""What Python's `str.strip` leaves of a text."""
MAX_PARTS = 300
"""Of a schema that are tried alone to find the one at fault: each takes a millisecond or more."""


def json_rule(schema: dict[str, Json]) -> str:
    """The right side of a rule for texts of a schema."""
    return f"%json {json.dumps({**schema, 'x-guidance': _OPTIONS})}"


def notes_on(grammar: str) -> str:
    """What the library has to say against a grammar, nothing where it takes it."""
    from llguidance import LLMatcher

    return " ".join(LLMatcher.validate_grammar_with_warnings(LLMatcher.grammar_from_lark(grammar))[1])


def is_always_blank(expression: str) -> bool:
    """Whether an expression in the syntax of Rust takes no text but white space. False where that is hard to say."""
    both: list[Json] = [{"pattern": f"^(?:{expression})$"}, {"pattern": NOT_BLANK}]
    return "Regex is empty" in notes_on(f"start: {json_rule({'type': 'string', 'allOf': both})}")


def find_unheld(document: dict[str, Json]) -> Unheld:
    """The innermost part of a schema that no grammar can be made of, and its keyword."""
    at_fault: list[tuple[tuple[Step, ...], dict[str, Json]]] = []
    for (steps, node), _ in zip(_parts(document, ()), range(MAX_PARTS), strict=False):
        if why := _why(document, node, steps):
            at_fault.append((steps, node))
    if not at_fault:
        return Unheld("the schema", ())
    inner = [
        (steps, node)
        for steps, node in at_fault
        if not any(other[: len(steps)] == steps and other != steps for other, _ in at_fault)
    ]
    steps, node = min(inner, key=lambda part: "$ref" in part[1])
    why = "that no text fits" if "Unsatisfiable" in _why(document, node, steps) else ""
    for key in node:
        others = {name: part for name, part in node.items() if name != key}
        if key != "type" and not _why(document, others, steps):
            return Unheld(key, (*steps, key), why)
    return Unheld("the schema", steps, why)


def _why(document: dict[str, Json], node: dict[str, Json], steps: tuple[Step, ...]) -> str:
    try:
        return notes_on(f"start: {json_rule(Writable(document).schema(node, steps))}")
    except Unheld as error:
        return error.keyword


def _parts(node: Json, steps: tuple[Step, ...]) -> Iterator[tuple[tuple[Step, ...], dict[str, Json]]]:
    """The schemas in a schema, itself first."""
    if not isinstance(node, dict):
        return
    yield steps, node
    for key, part in node.items():
        if isinstance(part, dict) and key in (*NAMED, "$defs", "definitions"):
            for name, item in part.items():
                yield from _parts(item, (*steps, key, name))
        elif isinstance(part, dict) and key in ONE:
            yield from _parts(part, (*steps, key))
        elif isinstance(part, list) and key in (*MANY, "allOf", "anyOf", "oneOf"):
            for index, item in enumerate(part):
                yield from _parts(item, (*steps, key, index))
