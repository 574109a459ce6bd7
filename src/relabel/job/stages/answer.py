"""Token ids in, an answer out: its text, its reasoning, and the label that it holds or why it holds none.

Joins the tokenizer and the parser of one label; the same text gives the same answer in every process.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from relabel.data.labels.columns import cut_at_stop
from relabel.data.labels.parsers import make_parser
from relabel.data.labels.reasoning import split_reasoning
from relabel.engine import Constraint, Sampling
from relabel.engine.model.processor import load_tokenizer
from relabel.errors import RowRejected
from relabel.job.job import Job
from relabel.spec import Query


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one generated text says."""

    text: str
    """Without its reasoning."""
    reasoning: str | None
    values: dict[str, Any] | None
    """The columns of the label, or None where the text holds none."""
    reason: str | None
    """Why not: `parse: ...`."""


class Reader:
    """Reads the answers to one query."""

    def __init__(self, query: Query, tokenizer: Any, constraint: Constraint | None = None) -> None:
        """`constraint`: what the texts are held to; without thoughts in it, `</think>` is text like any other."""
        self._stop, self._tokenizer, self._constraint = query.sampling.stop, tokenizer, constraint
        self._parse = make_parser(query.label)

    def read(self, token_ids: list[int]) -> Answer:
        """The answer in a text, given as token ids without the stop token."""
        text = cut_at_stop(self._decoded(token_ids), self._stop)
        bound, reasoning = self._constraint, None
        if bound is None or bound.after is not None:
            reasoning, text = split_reasoning(text, is_held=bound is not None)
        try:
            return Answer(text=text, reasoning=reasoning, values=self._parse(text), reason=None)
        except RowRejected as error:
            return Answer(text=text, reasoning=reasoning, values=None, reason=str(error.rejected))

    def holds_label(self, token_ids: list[int]) -> bool:
        """Whether the text needs no other attempt."""
        return self.read(token_ids).values is not None

    def _decoded(self, ids: list[int]) -> str:
        # a byte-level tokenizer may end inside a character: U+FFFD stands for it, and no text holds a lone surrogate
        return self._tokenizer.decode(ids, skip_special_tokens=True).encode("utf-8", "replace").decode("utf-8")


def reader_of(job: Job, query: Query, sampling: Sampling) -> Reader:
    """The reader of a label's texts, also of a row with stop texts or a constraint of its own."""
    return _reader(job, query.name, tuple(sampling.stop_strings), sampling.constraint)


@lru_cache(maxsize=64)
def _reader(job: Job, name: str, stop: tuple[str, ...], constraint: Constraint | None) -> Reader:
    (query,) = (query for query in job.spec.queries if query.name == name)
    own = replace(query, sampling=query.sampling.model_copy(update={"stop": list(stop)}))
    return Reader(own, tokenizer_of(job), constraint)


@lru_cache(maxsize=1)
def tokenizer_of(job: Job) -> Any:
    """The tokenizer of a run's model, kept by the process."""
    return load_tokenizer(job.spec.model.path, job.spec.model.revision)
