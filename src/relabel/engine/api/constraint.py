"""What a row's text may be: a JSON schema, a regular expression or one of some choices, as a grammar of llguidance.

Knows the language of grammars; nothing of tokenizers, tokens or models. Needs no torch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from relabel.engine.api.thoughts import Thoughts
from relabel.engine.grammar.expression import in_rust
from relabel.engine.grammar.leaf import Unheld
from relabel.engine.grammar.unheld import NOT_BLANK, find_unheld, is_always_blank, json_rule, notes_on
from relabel.engine.grammar.writable import Writable
from relabel.errors import ArgumentRefused

_CHANGE = "; change it, or set "
_ARGUMENT = ("constraint=None", " to check the texts afterwards alone")


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraint:
    """A row's text is one that this describes, from its first token, or from the end of its thoughts, to its last."""

    kind: Literal["json", "regex", "choice"]
    value: str
    """The JSON schema as JSON, the expression as the package `regex` has it, or the choices as a list in JSON."""
    thoughts: Thoughts | None = None
    """What may come before what is described; None for nothing."""

    def grammar(self, tokens: Mapping[str, int] | None = None) -> str:
        """In the language of llguidance. `tokens`: ids of the tokens that no text matches, by what they spell.

        Raises ArgumentRefused where the language has no words for it.
        """
        # one space may come first: the texts of SentencePiece begin with it
        start = "start: / ?/ answer\n" if self.thoughts is None else self.thoughts.rules(tokens or {})
        return f"{start}{self._answer}"

    @property
    def _answer(self) -> str:
        if self.kind == "choice":
            # one terminal: the first mask of 1,000 alternatives of a rule takes 9 ms instead of 0.2
            return f"answer: CHOICE\nCHOICE: {' | '.join(map(json.dumps, json.loads(self.value)))}\n"
        if self.kind == "json":
            document = json.loads(self.value)
            try:
                return f"answer: {json_rule(Writable(document).schema(document))}\n"
            except Unheld as error:
                raise unheld(error) from error
        try:
            return f"answer: ANSWER\nANSWER: /{in_rust(self.value, 'python')}/ & /(?s:.*){NOT_BLANK}(?s:.*)/\n"
        except ValueError as error:
            raise ArgumentRefused(f"the pattern cannot hold the model to it: {error}{_CHANGE}", *_ARGUMENT) from error


def check_constraint(constraint: Constraint) -> None:
    """Raises ArgumentRefused, naming what it is and where it stands, where no text can be held to the constraint."""
    notes = notes_on(constraint.grammar())
    if not notes and constraint.kind == "regex" and is_always_blank(in_rust(constraint.value, "python")):
        raise ArgumentRefused(f"the pattern takes no text but a blank one, which is no label{_CHANGE}", *_ARGUMENT)
    if not notes:
        return
    if constraint.kind == "json":
        raise unheld(find_unheld(json.loads(constraint.value)))
    what = {"regex": "the pattern", "choice": "the choices"}[constraint.kind]
    why = ": it looks around (an anchor inside, a word boundary)" if "lookaround" in notes else ""
    raise ArgumentRefused(f"{what} cannot hold the model to it{why}{_CHANGE}", *_ARGUMENT)


def unheld(error: Unheld) -> ArgumentRefused:
    """The sentence for a schema, with the keyword and a JSON pointer to it."""
    place = "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in error.steps)
    why = f" {error.why}" if error.why else ""
    return ArgumentRefused(
        f"the JSON schema cannot hold the model to it: {error.keyword}{why} at #{place[:200]}{_CHANGE}", *_ARGUMENT
    )
