"""One thing that the model is asked about each row, and which of its settings contradict each other.

Made by the spec, one for each label; trusted by whoever generates and reads the texts.
"""

from __future__ import annotations

from dataclasses import dataclass

from relabel.spec.label import Label
from relabel.spec.schemas.formats import unchecked_format
from relabel.spec.section import BOOKKEEPING
from relabel.spec.sections import Prompt, Sampling


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One thing that the model is asked about each row."""

    name: str
    """The name of the label; empty where a row has a single one."""
    prompt: Prompt
    sampling: Sampling
    label: Label

    @property
    def columns(self) -> list[str]:
        """The columns that may be written for it, without its name: those of a single label hold the row's status."""
        beside = [key for key in BOOKKEEPING if self.name or key not in ("status", "reason")]
        return [*self.label.columns, *beside]


def check_query(query: Query, where: str) -> None:
    """Raise ValueError, with the key and the way out, where two sections contradict each other."""
    label, sampling, prompt = query.label, query.sampling, query.prompt
    if prompt.user is None and prompt.messages is None:
        raise ValueError(f"{where}prompt.user is missing")
    if prompt.messages is not None and not (prompt.user is prompt.system is None):
        raise ValueError(f"{where}prompt.messages holds the whole chat: leave out user and system")
    if sampling.min_new_tokens > sampling.max_new_tokens:
        raise ValueError(f"{where}sampling.min_new_tokens is larger than max_new_tokens")
    if label.is_constrained and (sampling.stop or sampling.min_new_tokens):
        key = "stop" if sampling.stop else "min_new_tokens"
        raise ValueError(
            f"{where}a constrained label ends by itself: leave out sampling.{key}, or set label.constrain: false"
        )
    if sampling.num_samples > 1 and sampling.temperature == 0:
        raise ValueError(f"{where}sampling.num_samples would be the same text again: set sampling.temperature above 0")
    if label.attempts > 1 and sampling.temperature == 0 and not label.retry_temperatures:
        raise ValueError(
            f"{where}label.attempts would be the same text again: set label.retry_temperatures, for example [0.7], "
            "or sampling.temperature above 0"
        )
    if label.json_schema is not None and (why := unchecked_format(label.json_schema)) is not None:
        raise ValueError(f"{where}label.json_schema: {why}")
    if label.vote and sampling.num_samples == 1:
        raise ValueError(f"{where}label.vote needs sampling.num_samples above 1")
    if (longer := label.max_new_tokens_on_retry) is not None and longer <= sampling.max_new_tokens:
        raise ValueError(f"{where}label.max_new_tokens_on_retry must be above sampling.max_new_tokens")
