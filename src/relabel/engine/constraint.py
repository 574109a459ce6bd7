"""What a row's text may be: a JSON schema, a regular expression or one of some choices, as a grammar of llguidance.

Knows the language of grammars; nothing of tokenizers, tokens or models. Needs no torch.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal

from relabel.errors import SpecError

JSON = {"whitespace_flexible": False, "item_separator": ", ?", "key_separator": ": ?", "lenient": False}
"""On one line, with a space after commas and colons or without: free white space is a loop that never ends. What of a
schema is not supported is an error, also where the schema itself asks for leniency."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraint:
    """A row's text is one that this describes, from its first token to its last."""

    kind: Literal["json", "regex", "choice"]
    value: str
    """The JSON schema as JSON, the expression in the syntax of Rust, or the choices as a list in JSON."""
    after: str | None = None
    """A mark, for example `</think>`: the text is free up to it, and the rest is what is described."""

    def grammar(self, *, mark_is_token: bool = False) -> str:
        """In the language of llguidance. `mark_is_token`: the tokenizer has one for `after`, which no text matches.

        https://github.com/guidance-ai/llguidance/blob/main/docs/syntax.md
        """
        # one space may come first: the texts of SentencePiece begin with it
        if self.after is None:
            return f"start: / ?/ answer\n{self._answer}"
        thoughts = f"start: thoughts GAP answer\nGAP: /\\s{{0,2}}/\n{self._answer}"
        spelled = f"spelled[suffix={json.dumps(self.after)}]: /(?s:.*)/\n"
        if mark_is_token:
            return f"{thoughts}thoughts: spelled | marked\n{spelled}marked: /(?s:.*)/ {self.after}\n"
        return f"{thoughts}thoughts: spelled\n{spelled}"

    @property
    def _answer(self) -> str:
        if self.kind == "json":
            return f"answer: %json {json.dumps({**json.loads(self.value), 'x-guidance': JSON})}\n"
        if self.kind == "choice":
            # one terminal: the first mask of 1,000 alternatives of a rule takes 9 ms instead of 0.2
            return f"answer: CHOICE\nCHOICE: {' | '.join(map(json.dumps, json.loads(self.value)))}\n"
        expression = self.value.replace("/", "\\/").replace("\n", "\\n")
        return f"answer: /{expression}/\n"


def check_constraint(constraint: Constraint) -> None:
    """Raises SpecError with what llguidance says where it cannot compile the constraint, or not wholly."""
    from llguidance import LLMatcher

    _, notes = LLMatcher.validate_grammar_with_warnings(LLMatcher.grammar_from_lark(constraint.grammar()))
    if notes:
        what = {"json": "the JSON schema", "regex": "the pattern", "choice": "the choices"}[constraint.kind]
        raise SpecError(
            f"{what} of a label cannot hold the model to it ({' '.join(notes[0].split())[:300]}); change it, or set "
            "label.constrain: false to check the texts afterwards alone"
        )
