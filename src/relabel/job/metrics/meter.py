"""Values of metrics, and whoever they are handed to. A contract: knows nothing of Ray."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from relabel.job.metrics.table import Metric


@dataclass(frozen=True, slots=True)
class Sample:
    """The value of one series now."""

    metric: Metric
    labels: tuple[str, ...]
    """In the order of the metric's own."""
    value: float
    """Of a counter the total since the run began."""


class Meter(Protocol):
    """Takes values, over and over, and exports them."""

    def write(self, samples: Iterable[Sample]) -> None:
        """The values that hold from now on."""
        ...
