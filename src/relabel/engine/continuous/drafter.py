"""Drafts for the rows that are decoded: what is given or forced, else what came after the same tokens before.

The next step computes a draft behind the newest token of its row, and the row keeps what the model chooses, too. Knows
sequences and what drafts cost; nothing of logits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from relabel.engine.continuous.sequences import Sequence
from relabel.engine.sampling.sampler import Sampler
from relabel.engine.scheduling.costs import StepCosts
from relabel.engine.scheduling.drafts import MOST, AcceptanceRate, DraftLength
from relabel.engine.scheduling.lookup import PromptLookup
from relabel.engine.scheduling.step import Step

Source = Literal["given", "grammar", "lookup"]
"""The row's `forced_ids`, of which all are accepted; what its constraint forces; its prompt and its own text."""


class Costs(Protocol):
    """What makes drafts pay."""

    def observe(self, *, decoded: int, seconds: float) -> None: ...

    def least_acceptance(self, num_rows: int) -> float: ...


@dataclass(slots=True)
class _Row:
    """What drafts of one row need."""

    lookup: PromptLookup | None = None
    """Made when it is first asked."""
    length: DraftLength = field(default_factory=DraftLength)
    source: Source = "lookup"
    """Of its last draft."""


class Drafter:
    """Drafts while they pay: by what a step costs, and by how many tokens of each source were accepted lately."""

    def __init__(self, costs: Costs | None = None) -> None:
        self._costs = costs or StepCosts()
        self._rates: dict[Source, AcceptanceRate] = {"grammar": AcceptanceRate(), "lookup": AcceptanceRate()}
        self._rows: dict[int, _Row] = {}

    def draft(self, sequences: Mapping[int, Sequence], sampler: Sampler) -> dict[int, list[int]]:
        """The tokens that may come next, for the rows of which something is known."""
        decoded = {number: row for number, row in sequences.items() if row.tokens}
        if not decoded:
            return {}
        least = self._costs.least_acceptance(len(decoded))
        paying: set[Source] = {source for source, rate in self._rates.items() if rate.value > least}
        if least < 1:
            paying.add("given")
        for rate in self._rates.values():
            rate.forget()
        drafts: dict[int, list[int]] = {}
        for number, row in decoded.items():
            if tokens := self._draft(number, row, sampler, paying):
                drafts[number] = tokens
        return drafts

    def observe(self, step: Step, seconds: float, accepted: Mapping[int, int]) -> None:
        """A step was made, and so many tokens of each row's draft were accepted."""
        if not step.chunks:
            self._costs.observe(decoded=step.num_decoded, seconds=seconds)
        for decoded in step.decode_rows:
            if decoded.num_drafted:
                row, num_accepted = self._rows[decoded.row], accepted[decoded.row]
                if row.source != "given":
                    self._rates[row.source].took(drafted=decoded.num_drafted, accepted=num_accepted)
                if row.source == "lookup":
                    row.length.took(drafted=decoded.num_drafted, accepted=num_accepted)

    def forget(self, number: int) -> None:
        """The row has left, or begins again."""
        self._rows.pop(number, None)

    def _draft(self, number: int, sequence: Sequence, sampler: Sampler, paying: set[Source]) -> list[int]:
        num_tokens, request = len(sequence.tokens), sequence.request
        most = min(MOST, sequence.sampling.max_new_tokens - num_tokens - 1)
        if most < 1 or not paying:
            return []
        row = self._rows.setdefault(number, _Row())
        tokens: list[int] = []
        if request.forced_ids and "given" in paying:
            row.source, tokens = "given", list(request.forced_ids[num_tokens : num_tokens + most])
        elif sequence.sampling.constraint is not None and "grammar" in paying:
            row.source, tokens = "grammar", sampler.forced(sequence.slot)[:most]
        if not tokens and "lookup" in paying and (length := row.length.next()):
            if row.lookup is None:
                row.lookup = PromptLookup(request.prompt_ids)
            row.lookup.extend(sequence.tokens[len(row.lookup) - len(request.prompt_ids) :])
            row.source, tokens = "lookup", row.lookup.draft(min(most, length))
        return sampler.fitting(sequence.slot, tokens) if tokens else []
