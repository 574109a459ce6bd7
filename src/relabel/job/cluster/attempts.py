"""How often a unit was begun and not ended: the bound on rows, files and machines that kill processes.

Ray restarts a dead actor and repeats its task without limit, so such a row would be tried for ever. One small actor
beside the driver counts; a stage asks before it begins, and `suspects` finds the row. A unit that cannot be saved fails
by name, and the others go on. The counts live as long as the run: the next run tries such a unit again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from relabel.data.sources.unit import Unit
from relabel.errors import UnitGivenUp
from relabel.job.faults.attempt import Trial
from relabel.job.faults.deaths import Attempts
from relabel.job.faults.watchdog import Watchdog
from relabel.rejected import Code, Rejected

T = TypeVar("T")


def start_attempts() -> Any:
    """Start the counter on this node, where it lives exactly as long as the driver."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    counter: Any = ray.remote(Attempts)
    return counter.options(num_cpus=0, scheduling_strategy=here).remote()


def died_before(attempts: Any, stage: str, unit: Unit) -> bool:
    """Whether a process died with this unit in it, be it of this unit or of one beside it."""
    deaths: Any = ray.get(attempts.deaths.remote(stage, unit.part))
    return deaths > 0


def attempt(attempts: Any, stage: str, unit: Unit, watchdog: Watchdog, work: Callable[[Trial], T]) -> T:
    """Do the work. Raises UnitGivenUp, and does nothing, where it killed its process too often."""
    found: Any = ray.get(attempts.begin.remote(stage, unit.file.path, unit.part, unit.num_rows))
    if isinstance(found, str):
        first, last = unit.first_row, unit.first_row + unit.num_rows - 1
        raise UnitGivenUp(f"rows {first} to {last} of {unit.file.path}: {found}")

    def tries(at: int) -> None:
        ray.get(attempts.tries.remote(stage, unit.part, at, found.num_deaths))

    trial = Trial(
        poison=frozenset(found.poison),
        groups=found.groups,
        reason=str(Rejected(Code.POISON, f"the {stage} process died of this row alone, again and again")),
        tries=tries if found.are_apart else None,
    )
    with watchdog.watching():
        done = work(trial)
    ray.get(attempts.end.remote(stage, unit.file.path, unit.part))
    return done
