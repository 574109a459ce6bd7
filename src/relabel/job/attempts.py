"""How often a unit was begun and not ended: the bound on rows that kill their process.

Ray restarts a dead actor and repeats its task without limit, so such a row would be tried for ever. One small actor
beside the driver counts; a stage asks before it begins. A unit whose process died MAX_DEATHS times fails by name, and
the others go on. The counts live as long as the run: the next run tries such a unit again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from relabel.data.unit import Unit
from relabel.job.block import failed_block

MAX_DEATHS = 3


class Attempts:
    """Counts begun and ended attempts by (stage, part)."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], int] = {}

    def begin(self, stage: str, part: str) -> int:
        """Open an attempt; return how many earlier ones never ended."""
        deaths = self._open.get((stage, part), 0)
        self._open[stage, part] = deaths + 1
        return deaths

    def deaths(self, stage: str, part: str) -> int:
        """How many attempts at a unit never ended so far."""
        return self._open.get((stage, part), 0)

    def end(self, stage: str, part: str) -> None:
        """Close the attempts of a unit: its process lived."""
        self._open.pop((stage, part), None)


def start_attempts() -> Any:
    """Start the counter on this node, where it lives exactly as long as the driver."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    counter: Any = ray.remote(Attempts)
    return counter.options(num_cpus=0, scheduling_strategy=here).remote()


def died_before(attempts: Any, stage: str, unit: Unit) -> bool:
    """Whether a process died with this unit in it, be it of this unit or of one beside it."""
    deaths: Any = ray.get(attempts.deaths.remote(stage, unit.part))
    return deaths > 0


def attempt(attempts: Any, stage: str, unit: Unit, work: Callable[[], pa.Table]) -> pa.Table:
    """Do the work, unless it has killed its process MAX_DEATHS times: then the unit fails and says so."""
    deaths: Any = ray.get(attempts.begin.remote(stage, unit.part))
    if deaths >= MAX_DEATHS:
        first, last = unit.first_row, unit.first_row + unit.num_rows - 1
        return failed_block(
            unit,
            f"the {stage} process died {deaths} times on rows {first} to {last} of {unit.file.path}; it was given up",
        )
    block = work()
    ray.get(attempts.end.remote(stage, unit.part))
    return block
