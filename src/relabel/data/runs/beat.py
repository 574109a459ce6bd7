"""What a run says of itself while it is at work, and last of all how it ended: one small document in the output.

Figures, names and sentences, of bounded size: no text of a row and no secret. Its run alone writes it, over and over,
so that nobody needs a condition for that. Knows nothing of where it is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

PERIOD_SECONDS = 10.0
"""Between two of them: 360 small writes an hour, $0.002 in S3."""
MOST_BYTES = 64 * 2**10
"""Of one document, which is some 2 KB."""
MOST_ERRORS = 5
_LONGEST = 300
"""Characters of a sentence."""

Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]
State = Literal["starting", "running", "ended", "stopped", "failed"]
Limit = Literal["gpu_hours", "dollars", "until", "rows"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Engines:
    """What generates."""

    name: str
    """As `model.engine` has it."""
    up: Count = 0
    """How many are loaded, those of actors that died included."""
    planned: Count = 1
    gpus: Amount = 1.0
    """Of each; one without a GPU counts like one GPU."""
    batching: tuple[str, ...] = ()
    """How they batch, each way once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """How far one run is, by the clock of its driver."""

    run: str
    """Tells runs into one output apart; begins with the moment of its start."""
    command: Literal["run", "retry"]
    version: str
    """Of relabel."""
    host: str
    """The machine of the driver."""
    pid: int
    started: Amount
    """Seconds since 1970."""
    said: Amount
    """When this was said."""
    period: Annotated[float, Field(gt=0, le=86400)] = PERIOD_SECONDS
    """Seconds until the next one."""
    state: State
    why: str | None = None
    """Why it was stopped or failed."""
    reached: Limit | None = None
    """The budget that ended it."""
    budget: Mapping[Limit, float | str] = field(default_factory=dict)
    """What it was allowed."""
    num_units: Count
    """That it had to do."""
    num_rows: Count
    units: Count = 0
    rows: Count = 0
    ok: Count = 0
    rejected: Count = 0
    failed: Count = 0
    """Units."""
    output_tokens: Count = 0
    reasons: Mapping[str, Count] = field(default_factory=dict)
    """Rejected rows by code."""
    seconds: Amount = 0.0
    rows_per_second: Amount | None = None
    """Since the first unit ended; null before."""
    tokens_per_second: Amount | None = None
    seconds_left: Amount | None = None
    engines: Engines
    gpu_hours: Amount = 0.0
    """That it has taken so far, in the words of the forecast."""
    price: Amount | None = None
    """Of one of them, where the spec names it."""
    unit_seconds: Mapping[str, Count] = field(default_factory=dict)
    """How many units were how long with an engine: see `spans`. Empty in documents of earlier versions."""
    row_seconds: Mapping[str, Count] = field(default_factory=dict)
    """How many rows there were by that time of their unit, divided by its rows."""
    errors: tuple[str, ...] = ()
    """The last sentences about units that failed."""

    @property
    def is_over(self) -> bool:
        """Whether it has said its last."""
        return self.state in ("ended", "stopped", "failed")

    @property
    def spent_hours(self) -> float:
        """GPU hours to count for it: a run that was killed may have gone on for as long as until its next word."""
        unsaid = 0.0 if self.is_over else self.period * self.engines.up * (self.engines.gpus or 1.0) / 3600
        return self.gpu_hours + unsaid

    def spent_dollars(self, price: float | None = None) -> float | None:
        """The same as money, by `price` where the run named none; None where there is none."""
        price = price if self.price is None else self.price
        return None if price is None else self.spent_hours * price

    def to_json(self) -> dict[str, object]:
        """The document."""
        return asdict(self)


_BEAT = TypeAdapter(Beat)


def read_beat(document: object) -> Beat:
    """The beat of a document. Raises ValueError for anything else."""
    return _BEAT.validate_python(document)


def shortened(sentence: str) -> str:
    """A sentence that the document has room for."""
    return sentence if len(sentence) <= _LONGEST else f"{sentence[: _LONGEST - 3]}..."
