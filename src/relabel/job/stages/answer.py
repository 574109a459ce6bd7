"""A text in, an answer out: its reasoning, and the label that it holds or why it holds none.

Joins the parser of one label and the marks of reasoning; the same text gives the same answer in every process.
"""

from __future__ import annotations

from dataclasses import dataclass

from relabel.data.labels.parsers import make_parser
from relabel.data.labels.reasoning import split_reasoning
from relabel.engine import Constraint
from relabel.errors import RowRejected
from relabel.spec import Label


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one generated text says."""

    text: str
    """The text without its reasoning."""
    reasoning: str | None
    """What the model thought before it answered; None where it did not."""
    values: dict[str, object] | None
    """The columns of the label, or None where the text holds none."""
    reason: str | None
    """Why the text holds no label: `parse: ...`."""


class AnswerReader:
    """Reads the answers to one label's question."""

    def __init__(self, label: Label) -> None:
        self._parse = make_parser(label)

    def read(self, text: str, constraint: Constraint | None = None) -> Answer:
        """The answer in a text; `constraint` is what the text was held to.

        A constraint without thoughts in it leaves no room for reasoning: `</think>` is text like any other there.
        """
        reasoning = None
        if constraint is None or constraint.after is not None:
            reasoning, text = split_reasoning(text, is_held=constraint is not None)
        try:
            return Answer(text=text, reasoning=reasoning, values=self._parse(text), reason=None)
        except RowRejected as error:
            return Answer(text=text, reasoning=reasoning, values=None, reason=str(error.rejected))

    def holds_label(self, text: str, constraint: Constraint | None = None) -> bool:
        """Whether the text needs no other attempt."""
        return self.read(text, constraint).values is not None
