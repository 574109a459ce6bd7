"""What the driver and an executor tell each other while units are done. Knows nothing of either."""

from __future__ import annotations

from dataclasses import dataclass, field

from relabel.job.metrics.meter import Meter
from relabel.job.metrics.seen import Seen


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
    run: str = ""
    """Set by the driver: the name of the run."""
    meter: Meter | None = None
    """Set by the executor: who takes the metrics of the run, as long as units are done; None where nobody does."""
    seen: Seen = field(default_factory=Seen)
    """Set by the executor, now and then."""
