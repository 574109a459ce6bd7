"""How a model is run in this process, and how far its batches were from rows alone. Needs no torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a model is run in this process, and how far its batches were from rows alone."""

    batching: str
    attention: str
    difference: float
    """The largest of all probes, over the spread of the logits."""
    notes: tuple[str, ...]
    """Why faster ways were not taken."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
