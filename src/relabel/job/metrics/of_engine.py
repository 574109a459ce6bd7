"""The metrics of one engine as its own process sees it: what it did since the last look. Knows nothing of Ray."""

from __future__ import annotations

from collections.abc import Callable

from relabel.engine import Goodput
from relabel.job.metrics import table
from relabel.job.metrics.meter import Sample
from relabel.job.stream.waits import Waits


class EngineLook:
    """Looks at an engine now and then."""

    def __init__(self, name: str, waits: Waits, goodput: Callable[[], Goodput]) -> None:
        """`name` tells it from others."""
        self._name, self._waits, self._goodput = name, waits, goodput
        self._at, self._worked, _ = waits.at_work()
        self._before, self._slots = Goodput(), (0.0, 0.0)

    def __call__(self) -> list[Sample]:
        """What is the case now, and was in the mean since the last call."""
        at, worked, num_units = self._waits.at_work()
        busy = min(1.0, (worked - self._worked) / max(at - self._at, 1e-9))
        self._at, self._worked = at, worked
        room, held = self._slots_since()
        values = {table.BUSY_RATIO: busy, table.ENGINE_UNITS: num_units, table.SLOTS: room, table.SLOTS_HELD: held}
        return [Sample(metric, (self._name,), value) for metric, value in values.items()]

    def _slots_since(self) -> tuple[float, float]:
        """Of a step in the mean. The static engine counts them when a batch ends: until then they are as before."""
        now = self._goodput() + Goodput()  # a copy: the engine goes on counting
        since = now - self._before
        if since.all_slots or not since.num_forwards:
            steps = max(1, since.num_forwards)
            self._before, self._slots = now, (since.all_slots / steps, since.held_slots / steps)
        return self._slots
