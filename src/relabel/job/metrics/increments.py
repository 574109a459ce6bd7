"""Counters as what came since the last look. Whoever exports them adds; so no total may be handed on twice."""

from __future__ import annotations

from relabel.job.metrics.meter import Sample
from relabel.job.metrics.table import Metric


class Increments:
    """The totals that were seen last."""

    def __init__(self) -> None:
        self._totals: dict[tuple[Metric, tuple[str, ...]], float] = {}

    def since(self, sample: Sample) -> float | None:
        """What a counter has grown by; nought when it is first seen at nought, None where it has not grown since.

        A total that is below an earlier one, as by a report that came late, is waited for.
        """
        key = sample.metric, sample.labels
        before = self._totals.get(key)
        if before is not None and sample.value <= before:
            return None
        self._totals[key] = sample.value
        return sample.value - (before or 0.0)
