"""Metrics by Ray's own endpoint, one of each node; no port of ours. Every ten seconds Ray hands them on.

A process that ends says its last values as it goes: gauges are then seen for twenty seconds more, counters as long as
the node lives. One that is killed takes up to ten seconds with it.
"""

from __future__ import annotations

from collections.abc import Iterable

from ray.util.metrics import Counter, Gauge

from relabel.job.metrics.increments import Increments
from relabel.job.metrics.meter import Sample
from relabel.job.metrics.of_engine import EngineLook
from relabel.job.metrics.table import RUN, Metric
from relabel.job.progress.ticker import Ticker

EVERY_SECONDS = 5.0
"""Ray hands on half as often."""


class RayMeter:
    """Takes the metrics of one run in this process."""

    def __init__(self, run: str) -> None:
        """`run`: its name, the label of all."""
        self._run, self._increments = {RUN: run}, Increments()
        self._made: dict[str, Counter | Gauge] = {}

    def write(self, samples: Iterable[Sample]) -> None:
        """The values that hold from now on."""
        for sample in samples:
            labels = {**self._run, **dict(zip(sample.metric.labels, sample.labels, strict=True))}
            made = self._of(sample.metric)
            if isinstance(made, Gauge):
                made.set(sample.value, labels)
            elif (grown := self._increments.since(sample)) is not None:
                made._record(grown, labels)  # `inc` takes no nought, and who rises from nowhere is not seen to rise

    def _of(self, metric: Metric) -> Counter | Gauge:
        if metric.name not in self._made:
            make = Counter if metric.type == "counter" else Gauge
            self._made[metric.name] = make(metric.name, metric.help, (RUN, *metric.labels))
        return self._made[metric.name]


def follow_engine(meter: RayMeter, look: EngineLook) -> None:
    """Write the metrics of this process's engine now and then, until the process ends."""
    Ticker(lambda: meter.write(look()), every=EVERY_SECONDS).__enter__()
