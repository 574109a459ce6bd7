"""How Ray Data is to go about a long job. Its settings must stand before the first dataset is made."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Protocol

from ray.data import DataContext

from relabel.job.faults.poison_search import MAX_DEATHS
from relabel.job.stream.window import CHUNK

NO_PROGRESS_SECONDS = 4 * 3600
"""It must outlast loading the model and the slowest unit."""


def settle_context(deadline: float) -> None:
    """Set what every run needs; `deadline` is that of the spec, in seconds."""
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
    if Forgetting not in settings.custom_execution_callback_classes:
        # its base class is internal to Ray Data, which asks for the methods alone
        settings.custom_execution_callback_classes.append(Forgetting)  # pyright: ignore[reportArgumentType]
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
