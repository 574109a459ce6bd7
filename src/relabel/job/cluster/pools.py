"""How many actors each stage has, how much each of them has at hand, and how all that grows with the cluster.

Knows the settings of Ray Data's pools; nothing of what actors do.
"""

from __future__ import annotations

from dataclasses import dataclass

from ray.data import ActorPoolStrategy

from relabel.job.worker import MOST_UNITS_AT_ONCE
from relabel.spec import Resources

GENERATORS_PER_PUBLISHER = 4
"""A publisher is busy for some tenths of a second with a unit that a GPU needs ten seconds for."""
ROWS_AT_HAND, MOST_AT_HAND = 32, 16
"""Ray Data looks every 0.1 s for actors that are done, so that each must have so many rows at hand, of up to so many
handfuls, or it waits: of units of one row ten a second went through an actor that held one. Two handfuls at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pools:
    """The pools of one run."""

    num_handfuls: int
    fewest: int
    """Actors that generate; a machine of its own has room for so many."""
    most: int
    """To which they grow, as far as the cluster has room."""
    at_once: int
    """Handfuls that each of these serves side by side."""
    at_hand: int
    """Handfuls that wait before each actor."""

    @property
    def said(self) -> str:
        """The engines that are asked for."""
        if self.fewest < self.most:
            return f"up to {self.most} engines, as the cluster has room"
        return f"{self.most} engine{'' if self.most == 1 else 's'}"

    @property
    def reading(self) -> ActorPoolStrategy:
        """As many as there are CPUs for."""
        return ActorPoolStrategy(min_size=1, max_size=self.num_handfuls, max_tasks_in_flight_per_actor=self.at_hand)

    @property
    def generating(self) -> ActorPoolStrategy:
        """All of them from the start: those that the cluster has no room for wait, and begin on a node that joins.

        A pool that Ray Data lets grow did not, on nodes that joined: their GPUs are not of its budget.
        """
        return ActorPoolStrategy(
            size=self.most,
            max_concurrent_calls_per_actor=self.at_once,
            max_tasks_in_flight_per_actor=self.at_once + self.at_hand,
            enable_true_multi_threading=True,
        )

    @property
    def publishing(self) -> ActorPoolStrategy:
        fewest, most = (-(-number // GENERATORS_PER_PUBLISHER) for number in (self.fewest, self.most))
        return ActorPoolStrategy(min_size=fewest, max_size=most, max_tasks_in_flight_per_actor=self.at_hand)

    def slots(self, num_cpus: int) -> int:
        """Handfuls that all stages can hold at once, on a cluster of so many CPUs."""
        publishers = -(-self.most // GENERATORS_PER_PUBLISHER)
        return self.most * (self.at_once + self.at_hand) + (num_cpus + publishers) * self.at_hand


def pools_of(
    resources: Resources, *, num_handfuls: int, handful_rows: float, units_at_once: int, together: int
) -> Pools:
    """`handful_rows`: rows of a handful. `units_at_once`: units that an engine is to serve side by side."""
    return Pools(
        num_handfuls=num_handfuls,
        fewest=min(resources.fewest_actors, num_handfuls),
        most=min(resources.most_actors, num_handfuls),
        at_once=min(units_at_once, MOST_UNITS_AT_ONCE // together),
        at_hand=max(2, min(MOST_AT_HAND, int(ROWS_AT_HAND / handful_rows))),
    )
