"""The counter of attempts as an actor beside the driver: what it knows outlives the processes that die.

Ray restarts a dead actor and repeats its task without limit, so a row that kills would be tried for ever.
"""

from __future__ import annotations

from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from relabel.job.faults.deaths import DeathCounter
from relabel.job.faults.poison_search import PoisonSearch


class RayAttemptLog:
    """An `AttemptLog` that every process of a run can hold; it lives exactly as long as the driver that made it."""

    def __init__(self) -> None:
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        counter: Any = ray.remote(DeathCounter)  # Ray types no method of an actor
        self._counter = counter.options(num_cpus=0, scheduling_strategy=here).remote()

    def begin(self, stage: str, file: str, part: str, num_rows: int) -> PoisonSearch | str:
        return ray.get(self._counter.begin.remote(stage, file, part, num_rows))

    def tries(self, stage: str, part: str, at: int, num_deaths: int) -> None:
        ray.get(self._counter.tries.remote(stage, part, at, num_deaths))

    def deaths(self, stage: str, part: str) -> int:
        return ray.get(self._counter.deaths.remote(stage, part))

    def end(self, stage: str, file: str, part: str) -> None:
        ray.get(self._counter.end.remote(stage, file, part))
