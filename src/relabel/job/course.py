"""What the driver and an executor tell each other while units are done. Two numbers; knows nothing of either."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True, kw_only=True)
class Course:
    """How a run goes, kept up to date by both sides."""

    is_limited: bool = False
    """Whether the driver may come to say that no more units are begun."""
    most_begun: int | None = None
    """Set by the driver: how many units may begin to be generated in all; None for any number. What is begun is
    finished; the executor ends when that is done."""
    num_engines: int = 0
    """Set by the executor: engines that were loaded so far."""
