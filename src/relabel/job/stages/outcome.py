"""What became of one row for one label: its samples, the one that is the label, or why there is none.

Knows answers and completions as values; nothing of columns, blocks or stores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from relabel.data.labels.vote import vote
from relabel.job.stages.answer import Answer
from relabel.job.stages.completions import Completion
from relabel.spec import Label


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One text of a row, and what it says."""

    completion: Completion
    """The text as the engine gave it, or its error."""
    answer: Answer | None
    """What the text says; None where the engine gave an error in place of a text."""

    @property
    def values(self) -> dict[str, object] | None:
        """The columns of the label that the text holds."""
        return self.answer.values if self.answer else None

    @property
    def error(self) -> str | None:
        """Why the sample has no label."""
        return self.completion.error or (self.answer.reason if self.answer else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelOutcome:
    """What became of one row for one label."""

    reason: str | None = None
    """Why the row has no label, or a remark on its prompt or its samples."""
    samples: Sequence[Sample] = ()
    """The texts of the row; empty where none was generated."""
    chosen: int | None = None
    """Index of the sample that is the label: the winner of a vote, else the first with a label. None for a reject."""
    agreement: float | None = None
    """Share of the samples that voted for the label; None without a vote."""
    prompt_tokens: int | None = None
    """Number of tokens of the prompt; None where there is none."""
    probabilities: Sequence[float] | None = None
    """Probability of each choice; None where they were not asked for."""


def make_outcome(
    label: Label,
    remark: str | None,
    samples: Sequence[Sample],
    *,
    prompt_tokens: int | None = None,
    probabilities: Sequence[float] | None = None,
) -> LabelOutcome:
    """The outcome of some samples. `remark`: what is said of the prompt, and without samples why there are none."""
    values = [sample.values for sample in samples]
    if label.vote:
        chosen, agreement = vote(values) or (None, None)
    else:
        chosen = next((index for index, value in enumerate(values) if value is not None), None)
        agreement = None
    return LabelOutcome(
        reason=_reason(remark, samples, is_ok=chosen is not None),
        samples=samples,
        chosen=chosen,
        agreement=agreement,
        prompt_tokens=prompt_tokens,
        probabilities=probabilities,
    )


def _reason(remark: str | None, samples: Sequence[Sample], *, is_ok: bool) -> str | None:
    errors = [error for sample in samples if (error := sample.error) is not None]
    if samples and not is_ok:
        return errors[-1]
    if remark is None and errors:
        return f"{errors[-1]} ({len(errors)} of {len(samples)} samples have no label)"
    return remark
