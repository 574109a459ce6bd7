"""What became of one unit, as figures: from whoever published it to whoever counts.

Knows numbers, a name and a sentence; must never hold the text of a row. As JSON it travels between processes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from relabel.engine import Goodput


@dataclass(frozen=True, slots=True, kw_only=True)
class Waited:
    """Seconds of one engine, or of several together, and for how many of them it had nothing to do."""

    seconds: float = 0.0
    """Since it was begun."""
    loading: float = 0.0
    """Until it could generate."""
    reading: float = 0.0
    """No unit was prepared."""
    publishing: float = 0.0
    """A unit was prepared and not handed over, as where those that publish are behind."""

    def __add__(self, other: Waited) -> Waited:
        pairs = zip(asdict(self).items(), asdict(other).values(), strict=True)
        return Waited(**{name: mine + theirs for (name, mine), theirs in pairs})


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineReport:
    """What an engine says of itself, so far."""

    process: str
    """Tells one engine from another."""
    batching: Mapping[str, str | Sequence[str]]
    """How the engine batches, and what its checks at the start found."""
    goodput: Goodput
    """What the engine has computed since it was loaded."""
    waited: Waited = Waited()
    """What it has waited since it was begun."""
    unit_seconds: float = 0.0
    """How long it had the unit that it speaks after, beside others; 0 where it speaks after none."""

    def to_text(self) -> str:
        """The report as one line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> Self:
        """The report behind `to_text`."""
        return cls.from_json(json.loads(text))

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """The report as JSON has it."""
        return cls(**{**fields, "goodput": Goodput(**fields["goodput"]), "waited": Waited(**fields["waited"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What became of one unit."""

    part: str
    """Name of the part of the unit."""
    failure: str | None = None
    """Why the unit has no labels this time; then no row of it counts."""
    changed: bool = False
    """Whether that is because it has other rows than its part, which nobody said may be labelled anew."""
    rows: int = 0
    """Number of rows that were labelled or rejected: all of the unit, in a retry those that were asked again."""
    ok: int = 0
    """Number of rows with a label."""
    rejected: int = 0
    """Number of rows with a reason in place of a label."""
    reasons: Mapping[str, int] = field(default_factory=dict)
    """Number of rejected rows by code; of a run alone, as a retry asks rows that were rejected."""
    examples: Mapping[str, str] = field(default_factory=dict)
    """The most frequent whole reason of each code, `code: detail`, which never quotes a row."""
    prompt_tokens: int = 0
    """Number of tokens of the prompts that texts were generated for, once however many there are of each."""
    output_tokens: int = 0
    """Number of generated tokens, those of attempts that gave no label included."""
    engine: EngineReport | None = None
    """What the engine said after the unit; None where no engine saw it."""

    def to_text(self) -> str:
        """The receipt as one line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> Self:
        """The receipt behind `to_text`."""
        fields = json.loads(text)
        if (report := fields["engine"]) is not None:
            fields["engine"] = EngineReport.from_json(report)
        return cls(**fields)
