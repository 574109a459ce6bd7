"""How a model is run in this process, and how far its batches were from rows alone. Needs no torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a model is run in this process, and how far its batches were from rows alone."""

    batching: str
    """Continuous or static, or the engine's own word for what it does."""
    attention: str
    """The implementation of attention that the model is run with."""
    difference: float | None
    """The largest distance of any probe from the same row alone, over the spread of the logits; None without probes."""
    notes: tuple[str, ...] = ()
    """Why faster ways were not taken."""

    def to_json(self) -> dict[str, Any]:
        """All of it, as a report shows it."""
        return asdict(self)
