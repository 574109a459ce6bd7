"""A text in, an answer out: its reasoning, and the label that it holds or why it holds none.

Joins the parser of one label and the format of its reasoning; the same text gives the same answer in every process.
"""

from __future__ import annotations

from dataclasses import dataclass

from relabel.data.labels.parsers import make_parser
from relabel.data.labels.reasoning import Start, split_reasoning, start_of
from relabel.data.labels.reasoning_formats import ReasoningFormat
from relabel.errors import RowRejected
from relabel.rejected import Code, Rejected
from relabel.spec import Label

NO_ANSWER = Rejected(Code.PARSE, "ended before its answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one generated text says."""

    text: str
    """The text without its reasoning; empty where it ended before its answer."""
    reasoning: str | None
    """What the model thought before it answered; None where it did not."""
    values: dict[str, object] | None
    """The columns of the label, or None where the text holds none."""
    reason: str | None
    """Why the text holds no label: `parse: ...`."""


class AnswerReader:
    """Reads the answers to one label's question, whose reasoning has a format; None leaves texts as they are."""

    def __init__(self, label: Label, format: ReasoningFormat | None) -> None:
        self._parse, self._format = make_parser(label), format

    def start_of(self, reply_start: str) -> Start:
        """Where in the format a prompt ends, by what its template wrote behind the messages."""
        return Start.BEFORE if self._format is None else start_of(self._format, reply_start)

    def read(
        self, text: str, *, start: Start = Start.BEFORE, is_held: bool = False, is_cut_off: bool = False
    ) -> Answer:
        """The answer in a text. `is_held`: to a constraint; `is_cut_off`: it ended for want of tokens."""
        reasoning, answer = None, text
        if self._format is not None:
            reasoning, answer = split_reasoning(text, self._format, start=start, is_held=is_held, is_cut_off=is_cut_off)
        if answer is None:
            return Answer(text="", reasoning=reasoning, values=None, reason=str(NO_ANSWER))
        try:
            return Answer(text=answer, reasoning=reasoning, values=self._parse(answer), reason=None)
        except RowRejected as error:
            return Answer(text=answer, reasoning=reasoning, values=None, reason=str(error.rejected))
