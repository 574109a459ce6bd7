"""The Ray Data graph of a run: one task per unit reads and encodes, actors generate, others publish.

A unit is one block from end to end. Ray repeats a task whose process died, and a repeated task that cut its output
elsewhere would lose or double rows without a word; with one block a task, and `target_max_block_size` off, it cannot.
"""

from __future__ import annotations

import json
import logging
import os
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pyarrow as pa
import ray
from ray.data import ActorPoolStrategy, DataContext
from ray.data.block import BlockMetadata
from ray.data.datasource import Datasource, ReadTask

from relabel.data.sources.unit import Unit
from relabel.data.store.store import Store
from relabel.engine.model.faults import is_device_fault
from relabel.errors import UnitGivenUp
from relabel.job.cluster.attempts import attempt, died_before, start_attempts
from relabel.job.engine import engine_of, report_of
from relabel.job.faults.attempt import Trial
from relabel.job.faults.exclusive import Turns
from relabel.job.faults.poison_search import MAX_DEATHS
from relabel.job.faults.watchdog import Watchdog
from relabel.job.job import Job
from relabel.job.stages.block import failed_block, failure_of, unit_of, with_report
from relabel.job.stages.generate import generate_unit
from relabel.job.stages.publish import publish_unit
from relabel.job.stages.read import read_unit
from relabel.spec import Spec

NO_PROGRESS_SECONDS = 4 * 3600
"""It must outlast loading the model and the slowest unit."""
READ_MEMORY = 512 * 2**20
"""Bytes set aside for each unit that is being read: its images, encoded and decoded. It also keeps reading out of the
actors: Ray would fuse the two, and decode in front of the GPU, if they asked for the same."""

UNITS_AT_ONCE = 3
"""Units that an actor serves side by side: the last rows of one never leave the device empty. Two more wait."""

MOST_UNITS_AT_ONCE = 48
"""Where few rows of each are asked: each is a thread of the actor and a block in memory."""

GENERATORS_PER_PUBLISHER = 4
"""A publisher is busy for some tenths of a second with a unit that a GPU needs ten seconds for."""

LoadEngine = Callable[[Spec], Any]


class Units(Datasource):
    """One read task per unit."""

    def __init__(self, units: list[Unit], job: Job, attempts: Any) -> None:
        super().__init__()
        self._units = units
        self._job = ray.put(job)
        self._attempts = attempts

    def estimate_inmemory_data_size(self) -> int | None:
        return None

    def get_read_tasks(self, parallelism: int, *_: Any, **__: Any) -> list[ReadTask]:
        size = BlockMetadata(num_rows=None, size_bytes=None, input_files=None, exec_stats=None)
        return [ReadTask(partial(_read, unit, self._job, self._attempts), size) for unit in self._units]


class Generate:
    """The actor: holds the model and generates for a few units side by side, each in a thread of its own."""

    def __init__(self, job: Job, attempts: Any, load: LoadEngine) -> None:
        self._attempts = attempts
        self._turns = Turns()
        self._job, self._engine = job, load(job.spec)
        self._watchdog = Watchdog(job.spec.resources.deadline, lambda: self._engine.goodput.num_forwards)
        self._process = uuid.uuid4().hex

    def __call__(self, block: pa.Table) -> pa.Table:
        if failure_of(block) is not None:
            return block
        unit = unit_of(block)
        try:
            with self._turns.taken(alone=died_before(self._attempts, "generating", unit)):
                return attempt(
                    self._attempts, "generating", unit, self._watchdog, lambda trial: self._generate(block, trial)
                )
        except UnitGivenUp as error:
            return failed_block(unit, str(error))
        except Exception as error:  # noqa: BLE001  the boundary of a process: Ray would end the whole run here
            if is_device_fault(error):
                os._exit(1)  # the CUDA context is lost; Ray starts another process, and the attempts are counted
            return failed_block(unit, f"generating failed with {type(error).__name__}; the same command tries it again")

    def _generate(self, block: pa.Table, trial: Trial) -> pa.Table:
        generated = generate_unit(block, self._engine, self._job, trial)
        return with_report(generated, report_of(self._engine, self._process))


class Publish:
    """The last stage: one block in, one receipt out.

    An actor, because tasks would wait behind those that read, and what waits is lost with the driver; and Ray ends idle
    workers after a second, whose successor imports transformers for 5 CPU seconds.
    """

    def __init__(self, job: Job, attempts: Any) -> None:
        _give_way()
        self._job, self._attempts = job, attempts
        self._watchdog = Watchdog(job.spec.resources.deadline)
        self._store = Store(job.output)

    def __call__(self, block: pa.Table) -> pa.Table:
        unit = unit_of(block)
        try:
            receipt = attempt(
                self._attempts,
                "publishing",
                unit,
                self._watchdog,
                lambda trial: publish_unit(block, self._job, self._store, trial),
            )
        except UnitGivenUp as error:
            receipt = {"part": unit.part, "failure": str(error)}
        return pa.table({"receipt": [json.dumps(receipt)]})


def receipts(
    units: list[Unit], job: Job, load: LoadEngine = engine_of, *, num_rows: int | None = None
) -> Iterator[dict[str, Any]]:
    """Run the units and yield the receipt of each as it ends; no row reaches the driver. `load` makes an engine.

    `num_rows` are asked of them: in a retry few of each.
    """
    resources = job.spec.resources
    at_once = units_at_once(sum(unit.num_rows for unit in units), num_rows)
    _settle_context(resources.deadline)
    attempts = start_attempts()
    actors = min(resources.actors, len(units))
    labelled = (
        ray.data.read_datasource(
            Units(units, job, attempts),
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
                max_tasks_in_flight_per_actor=at_once + 2,
                enable_true_multi_threading=True,
            ),
            num_gpus=resources.gpus_per_actor or None,
            num_cpus=0 if resources.gpus_per_actor else 1,
            fn_constructor_args=(job, attempts, load),
        )
        .map_batches(
            Publish,
            batch_size=None,
            batch_format="pyarrow",
            zero_copy_batch=True,
            compute=ActorPoolStrategy(size=-(-actors // GENERATORS_PER_PUBLISHER)),
            num_cpus=0,
            fn_constructor_args=(job, attempts),
        )
    )
    for row in labelled.iter_rows():
        yield json.loads(row["receipt"])


def units_at_once(num_planned: int, num_asked: int | None) -> int:
    """So many that an actor has the rows of UNITS_AT_ONCE whole units before it, up to MOST_UNITS_AT_ONCE."""
    if not num_asked:
        return UNITS_AT_ONCE
    return min(UNITS_AT_ONCE * max(1, num_planned // num_asked), MOST_UNITS_AT_ONCE)


def no_progress_seconds(deadline: float) -> int:
    """Ray ends a job in which no block moves for so long, as none does while a unit dies again and again of a row that
    hangs: 12 h 30 min where each death takes half an hour."""
    return max(NO_PROGRESS_SECONDS, (MAX_DEATHS + 1) * int(deadline))


def _read(unit: Unit, job_ref: Any, attempts: Any) -> list[pa.Table]:
    _give_way()
    job: Job = ray.get(job_ref)
    watchdog = Watchdog(job.spec.resources.deadline)
    try:
        return [attempt(attempts, "reading", unit, watchdog, lambda trial: read_unit(unit, job, trial))]
    except UnitGivenUp as error:
        return [failed_block(unit, str(error))]


def _give_way() -> None:
    """Where cores are short the engine's process goes first: a device that waits costs more than a reader."""
    os.setpriority(os.PRIO_PROCESS, 0, 19)


def _settle_context(deadline: float) -> None:
    """The settings of a long job; they must stand before the first dataset is made."""
    settings = DataContext.get_current()
    settings.execution_options.preserve_order = False
    settings.target_max_block_size = None
    settings.max_errored_blocks = 0
    settings.max_consecutive_actor_init_deaths = 3
    settings.execution_no_progress_timeout_s = no_progress_seconds(deadline)
    settings.enable_progress_bars = False
    settings.enable_operator_progress_bars = False
    settings.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
