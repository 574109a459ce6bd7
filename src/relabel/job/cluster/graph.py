"""The Ray Data graph of a run: one task per unit reads and encodes, actors generate, others publish.

A unit is one block from end to end. Ray repeats a task whose process died, and a repeated task that cut its output
elsewhere would lose or double rows without a word; with one block a task, and `target_max_block_size` off, it cannot.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from functools import partial

import pyarrow as pa
import ray
from ray.data import ActorPoolStrategy, DataContext
from ray.data.block import BlockMetadata
from ray.data.datasource import Datasource, ReadTask

from relabel.data.sources.unit import Unit
from relabel.errors import DeviceLost, RelabelError
from relabel.job.cluster.attempts import RayAttemptLog
from relabel.job.faults.poison_search import MAX_DEATHS
from relabel.job.faults.watchdog import Watchdog
from relabel.job.job import Job
from relabel.job.receipt import Receipt
from relabel.job.worker import Generator, LoadEngine, Publisher, Reader, units_at_once

NO_PROGRESS_SECONDS = 4 * 3600
"""It must outlast loading the model and the slowest unit."""
READ_MEMORY = 512 * 2**20
"""Bytes set aside for each unit that is being read: its images, encoded and decoded. It also keeps reading out of the
actors: Ray would fuse the two, and decode in front of the GPU, if they asked for the same."""
GENERATORS_PER_PUBLISHER = 4
"""A publisher is busy for some tenths of a second with a unit that a GPU needs ten seconds for."""


class Units(Datasource):
    """One read task per unit."""

    def __init__(self, units: Sequence[Unit], job: Job, log: RayAttemptLog) -> None:
        super().__init__()
        self._units = units
        self._job = ray.put(job)
        self._log = log

    def estimate_inmemory_data_size(self) -> int | None:
        return None

    def get_read_tasks(self, parallelism: int, *_: object, **__: object) -> list[ReadTask]:
        size = BlockMetadata(num_rows=None, size_bytes=None, input_files=None, exec_stats=None)
        return [ReadTask(partial(_read, unit, self._job, self._log), size) for unit in self._units]


class Generate:
    """The actor: holds the model and generates for a few units side by side, each in a thread of its own."""

    def __init__(self, job: Job, log: RayAttemptLog, load: LoadEngine) -> None:
        self._refusal: RelabelError | None = None
        """Why there is no engine. Raised here Ray would load it four times over, and hand on the text alone."""
        try:
            engine = load(job.spec)
        except RelabelError as error:
            self._refusal = error
            return
        watchdog = Watchdog(job.spec.resources.deadline, lambda: engine.goodput.num_forwards)
        self._generate = Generator(job, log, watchdog, engine)

    def __call__(self, block: pa.Table) -> pa.Table:
        if self._refusal is not None:
            raise self._refusal
        try:
            return self._generate(block)
        except DeviceLost:
            os._exit(1)  # Ray starts another process, and the attempts are counted


class Publish:
    """The last stage: one block in, one receipt out.

    An actor, because tasks would wait behind those that read, and what waits is lost with the driver; and Ray ends idle
    workers after a second, whose successor imports everything anew.
    """

    def __init__(self, job: Job, log: RayAttemptLog) -> None:
        _give_way()
        self._publish = Publisher(job, log, Watchdog(job.spec.resources.deadline))

    def __call__(self, block: pa.Table) -> pa.Table:
        return pa.table({"receipt": [self._publish(block).to_text()]})


def receipts(units: Sequence[Unit], job: Job, load: LoadEngine, *, num_rows: int) -> Iterator[Receipt]:
    """Run the units and yield the receipt of each as it ends; no row reaches the driver. `load` makes an engine.

    `num_rows` are asked of them: in a retry few of each.
    """
    resources = job.spec.resources
    at_once = units_at_once(sum(unit.num_rows for unit in units), num_rows)
    _settle_context(resources.deadline)
    log = RayAttemptLog()
    actors = min(resources.actors, len(units))
    labelled = (
        ray.data.read_datasource(
            Units(units, job, log),
            override_num_blocks=len(units),
            num_cpus=1,
            memory=READ_MEMORY,
        )
        .map_batches(
            Generate,
            batch_size=None,
            batch_format="pyarrow",
            zero_copy_batch=True,
            compute=ActorPoolStrategy(
                size=actors,
                max_concurrent_calls_per_actor=at_once,
                max_tasks_in_flight_per_actor=at_once + 2,  # two wait
                enable_true_multi_threading=True,
            ),
            num_gpus=resources.gpus_per_actor or None,
            num_cpus=0 if resources.gpus_per_actor else 1,
            fn_constructor_args=(job, log, load),
        )
        .map_batches(
            Publish,
            batch_size=None,
            batch_format="pyarrow",
            zero_copy_batch=True,
            compute=ActorPoolStrategy(size=-(-actors // GENERATORS_PER_PUBLISHER)),
            num_cpus=0,
            fn_constructor_args=(job, log),
        )
    )
    for row in labelled.iter_rows():
        yield Receipt.from_text(row["receipt"])


def no_progress_seconds(deadline: float) -> int:
    """Ray ends a job in which no block moves for so long, as none does while a unit dies again and again of a row that
    hangs: 12 h 30 min where each death takes half an hour."""
    return max(NO_PROGRESS_SECONDS, (MAX_DEATHS + 1) * int(deadline))


def _read(unit: Unit, job_ref: ray.ObjectRef[Job], log: RayAttemptLog) -> list[pa.Table]:
    _give_way()
    try:
        job = ray.get(job_ref)
        return [Reader(job, log, Watchdog(job.spec.resources.deadline))(unit)]
    except KeyboardInterrupt:
        # Ray cancels what a run that ended was reading, and gives the process to the next run; an import that was cut
        # off would fail there ever after
        os._exit(1)


def _give_way() -> None:
    """Where cores are short the engine's process goes first: a device that waits costs more than a reader."""
    os.setpriority(os.PRIO_PROCESS, 0, 19)


def _settle_context(deadline: float) -> None:
    """The settings of a long job; they must stand before the first dataset is made."""
    settings = DataContext.get_current()
    settings.execution_options.preserve_order = False
    settings.target_max_block_size = None
    settings.max_errored_blocks = 0
    settings.raise_original_map_exception = True  # else an error of our own comes back as text alone
    settings.max_consecutive_actor_init_deaths = 3
    settings.execution_no_progress_timeout_s = no_progress_seconds(deadline)
    settings.enable_progress_bars = False
    settings.enable_operator_progress_bars = False
    settings.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
