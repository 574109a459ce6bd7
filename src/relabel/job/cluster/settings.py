"""How Ray Data is to go about a long job. Its settings must stand before the first dataset is made."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import ray
from ray.actor import ActorHandle
from ray.data import DataContext

from relabel.job.faults.poison_search import MAX_DEATHS
from relabel.job.stream.window import CHUNK

NO_PROGRESS_SECONDS = 4 * 3600
"""It must outlast loading the model and the slowest unit."""


def settle_context(deadline: float, *, keep_idle: bool = False) -> None:
    """Set what every run needs; `deadline` is that of the spec, in seconds. `keep_idle`: see `Keeping`."""
    settings = DataContext.get_current()
    settings.execution_options.preserve_order = False
    settings.target_max_block_size = None
    # else the source hands out two units each 0.1 s; no other task makes more blocks than one
    settings._max_num_blocks_in_streaming_gen_buffer = CHUNK
    settings.max_errored_blocks = 0
    settings.raise_original_map_exception = True  # else an error of our own comes back as text alone
    settings.max_consecutive_actor_init_deaths = 3
    settings.execution_no_progress_timeout_s = no_progress_seconds(deadline)
    # an actor that waits for a moment is not ended: its successor would load the model anew, or import for 3 s
    settings.autoscaling_config.actor_pool_util_downscaling_threshold = -1.0
    settings.memory_usage_poll_interval_s = None  # a thread for each task
    settings.enable_progress_bars = False
    settings.enable_operator_progress_bars = False
    settings.print_on_execution_start = False
    others = [one for one in settings.custom_execution_callback_classes if one not in (Forgetting, Keeping)]
    # their base class is internal to Ray Data, which asks for the methods alone
    settings.custom_execution_callback_classes = [*others, Forgetting, *[Keeping] * keep_idle]  # pyright: ignore[reportAttributeAccessIssue]
    logging.getLogger("ray.data").setLevel(logging.ERROR)


def no_progress_seconds(deadline: float) -> int:
    """Ray ends a job in which no block moves for so long, as none does while a unit dies again and again of a row that
    hangs: 12 h 30 min where each death takes half an hour."""
    return max(NO_PROGRESS_SECONDS, (MAX_DEATHS + 1) * int(deadline))


class Operator(Protocol):
    """A stage, as Ray Data runs it."""

    def get_stats(self) -> Mapping[str, list[object]]:
        """What it keeps of each block that it has made."""
        ...

    def get_autoscaling_actor_pools(self) -> Sequence[Pool]:
        """Its actors, where it has any."""
        ...


class Pool(Protocol):
    """The actors of a stage."""

    _running_actors: Iterable[ActorHandle]


class Execution(Protocol):
    """What runs the stages."""

    _topology: Iterable[Operator]


class Forgetting:
    """Lets Ray Data forget the blocks that are done, as it never does: 8 KB of each unit in the driver.

    They are for a table of times that nobody asks for. Called by Ray Data, see its `ExecutionCallback`.
    """

    def before_execution_starts(self, executor: Execution) -> None:
        """There is nothing yet."""

    def on_execution_step(self, executor: Execution) -> None:
        """Ten times a second."""
        for operator in executor._topology:
            for blocks in operator.get_stats().values():
                blocks.clear()

    def after_execution_succeeds(self, executor: Execution) -> None:
        """It goes with the dataset."""

    def after_execution_fails(self, executor: Execution, error: Exception) -> None:
        """It goes with the dataset."""


class Keeping:
    """Lets actors live until the run ends, where Ray Data lets go of those that have nothing to do at the end.

    Then they are ended at once, also those that are slow with a unit that nobody waits for any more.
    """

    def __init__(self) -> None:
        self._kept = set[ActorHandle]()

    def before_execution_starts(self, executor: Execution) -> None:
        """There are none yet."""

    def on_execution_step(self, executor: Execution) -> None:
        """Whom the driver holds by a name of its own lives on."""
        for operator in executor._topology:
            for pool in operator.get_autoscaling_actor_pools():
                self._kept.update(pool._running_actors)

    def after_execution_succeeds(self, executor: Execution) -> None:
        """Nobody needs them any more."""
        while self._kept:
            ray.kill(self._kept.pop())

    def after_execution_fails(self, executor: Execution, error: Exception) -> None:
        """The same."""
        self.after_execution_succeeds(executor)
