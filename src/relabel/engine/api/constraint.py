"""What a row's text may be: a JSON schema, a regular expression or one of some choices, as a grammar of llguidance.

Knows the language of grammars; nothing of tokenizers, tokens or models. Needs no torch.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from relabel.engine.api.thoughts import Thoughts
from relabel.errors import ArgumentRefused

JSON = {"whitespace_flexible": False, "item_separator": ", ?", "key_separator": ": ?", "lenient": False}
"""On one line, with a space after commas and colons or without: free white space is a loop that never ends. What of a
schema is not supported is an error, also where the schema itself asks for leniency."""
LARGEST = 10**18
"""Of an integer without bounds: a column holds 64 bits, and llguidance cannot make a range of all of them."""
_SLASH = re.compile(r"(\\.)|/", re.DOTALL)
"""One that is not escaped is the end of an expression in a grammar."""
OPEN = {"additionalProperties", "patternProperties", "allOf", "anyOf", "oneOf", "$ref", "unevaluatedProperties"}
"""A schema with one of these says itself what else it allows, or leaves it to the others."""
MAX_MULTIPLE = 1000
"""Of `multipleOf`: its automaton has as many states, and one of a million takes 19 s and 585 MB."""
Json = dict[str, "Json"] | list["Json"] | str | float | bool | None
"""A value of JSON; float stands for int as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraint:
    """A row's text is one that this describes, from its first token, or from the end of its thoughts, to its last."""

    kind: Literal["json", "regex", "choice"]
    value: str
    """The JSON schema as JSON, the expression in the syntax of Rust, or the choices as a list in JSON."""
    thoughts: Thoughts | None = None
    """What may come before what is described; None for nothing."""

    def grammar(self, tokens: Mapping[str, int] | None = None) -> str:
        """In the language of llguidance. `tokens`: ids of the tokens that no text matches, by what they spell."""
        # one space may come first: the texts of SentencePiece begin with it
        start = "start: / ?/ answer\n" if self.thoughts is None else self.thoughts.rules(tokens or {})
        return f"{start}{self._answer}"

    @property
    def _answer(self) -> str:
        if self.kind == "json":
            return f"answer: %json {json.dumps({**_closed_schema(json.loads(self.value)), 'x-guidance': JSON})}\n"
        if self.kind == "choice":
            # one terminal: the first mask of 1,000 alternatives of a rule takes 9 ms instead of 0.2
            return f"answer: CHOICE\nCHOICE: {' | '.join(map(json.dumps, json.loads(self.value)))}\n"
        expression = _SLASH.sub(lambda found: found[1] or r"\/", self.value).replace("\n", "\\n")
        return f"answer: /{expression}/\n"


def check_constraint(constraint: Constraint) -> None:
    """Raises ArgumentRefused with what llguidance says where it cannot compile the constraint, or not wholly."""
    from llguidance import LLMatcher

    if constraint.kind == "json" and any(number > MAX_MULTIPLE for number in _multiples(json.loads(constraint.value))):
        raise ArgumentRefused(
            f"a multipleOf above {MAX_MULTIPLE} cannot be held to in reasonable time; set ", "constraint=None", ""
        )
    _, notes = LLMatcher.validate_grammar_with_warnings(LLMatcher.grammar_from_lark(constraint.grammar()))
    if notes:
        what = {"json": "the JSON schema", "regex": "the pattern", "choice": "the choices"}[constraint.kind]
        raise ArgumentRefused(
            f"{what} cannot hold the model to it ({' '.join(notes[0].split())[:300]}); change it, or set ",
            "constraint=None",
            " to check the texts afterwards alone",
        )


def _closed(node: Json) -> Json:
    if isinstance(node, list):
        return [_closed(item) for item in node]
    return _closed_schema(node) if isinstance(node, dict) else node


def _closed_schema(schema: dict[str, Json]) -> dict[str, Json]:
    """A schema that allows only what a column can hold: no keys beside those declared, and integers of 64 bits."""
    closed = {
        key: item if key in ("enum", "const", "default", "examples") else _closed(item) for key, item in schema.items()
    }
    if isinstance(closed.get("properties"), dict) and not closed.keys() & OPEN:
        closed["additionalProperties"] = False
    bounds = [closed.get(key) for key in ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")]
    is_small = all(abs(bound) < LARGEST for bound in bounds if isinstance(bound, int | float))
    if closed.get("type") == "integer" and is_small and not closed.keys() & {"enum", "const"}:
        if not closed.keys() & {"minimum", "exclusiveMinimum"}:
            closed["minimum"] = -LARGEST
        if not closed.keys() & {"maximum", "exclusiveMaximum"}:
            closed["maximum"] = LARGEST
    return closed


def _multiples(node: Json) -> Iterator[float]:
    if isinstance(node, dict):
        if isinstance(multiple := node.get("multipleOf"), int | float):
            yield multiple
        for item in node.values():
            yield from _multiples(item)
    elif isinstance(node, list):
        for item in node:
            yield from _multiples(item)
