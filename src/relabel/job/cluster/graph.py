"""The Ray Data graph of a run: units are handed out in chunks, actors read and encode, others generate, others publish.

A unit is one block from end to end. Ray repeats a task whose process died, and a repeated task that cut its output
elsewhere would lose or double rows without a word; with one block a task, and `target_max_block_size` off, it cannot.
The one task that makes several blocks is the source, and a chunk of it is cut into the same rows whenever it is made.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa
import ray
from ray.data import ActorPoolStrategy, TaskPoolStrategy

from relabel.data.sources.unit import Unit
from relabel.errors import DeviceLost, RelabelError
from relabel.job.cluster.beside import Beside, open_desk
from relabel.job.cluster.settings import settle_context
from relabel.job.cluster.source import Units
from relabel.job.faults.parent import end_with_parent
from relabel.job.faults.watchdog import Watchdog
from relabel.job.job import Job
from relabel.job.progress.ticker import Ticker
from relabel.job.receipt import Receipt
from relabel.job.stream import window
from relabel.job.stream.rows import unit_of_row
from relabel.job.worker import Generator, LoadEngine, Publisher, Reader, units_at_once

log = logging.getLogger("relabel")

READ_MEMORY = 512 * 2**20
"""Bytes set aside for each unit that is being read: its images, encoded and decoded."""
GENERATORS_PER_PUBLISHER = 4
"""A publisher is busy for some tenths of a second with a unit that a GPU needs ten seconds for."""
HEARD_TOGETHER = 32
"""Units after whose end others may be handed out."""
ROWS_AT_HAND, MOST_AT_HAND = 32, 16
"""Ray Data looks every 0.1 s for actors that are done, so that each must have so many rows at hand, of up to so many
units, or it waits: of units of one row ten a second went through an actor that held one. Two units at least."""


class Read:
    """The first actor: reads and encodes a unit after the other.

    Ray Data starts as many as there are CPUs for, and units that wait. No task: Ray ends idle workers after a second,
    whose successor imports everything anew, for 3 s.
    """

    def __init__(self, job: Job, beside: Beside) -> None:
        end_with_parent()
        _give_way()
        self._read = Reader(job, beside, Watchdog(job.spec.resources.deadline))

    def __call__(self, row: pa.Table) -> pa.Table:
        return self._read(unit_of_row(row))


class Generate:
    """The actor: holds the model and generates for a few units side by side, each in a thread of its own."""

    def __init__(self, job: Job, beside: Beside, load: LoadEngine) -> None:
        end_with_parent()  # what hangs in Ray's own exit would hold the GPU
        self._refusal: RelabelError | None = None
        """Why there is no engine. Raised here Ray would load it four times over, and hand on the text alone."""
        try:
            engine = load(job.spec)
        except RelabelError as error:
            self._refusal = error
            return
        beside.add_engine()
        watchdog = Watchdog(job.spec.resources.deadline, lambda: engine.goodput.num_forwards)
        self._generate = Generator(job, beside, watchdog, engine)

    def __call__(self, block: pa.Table) -> pa.Table:
        if self._refusal is not None:
            raise self._refusal
        try:
            return self._generate(block)
        except DeviceLost:
            os._exit(1)  # Ray starts another process, and the attempts are counted


class Publish:
    """The last stage: one block in, one receipt out.

    An actor, because tasks would wait for CPUs behind those that read, and what waits is lost with the driver.
    """

    def __init__(self, job: Job, beside: Beside) -> None:
        end_with_parent()
        _give_way()
        self._publish = Publisher(job, beside, Watchdog(job.spec.resources.deadline))

    def __call__(self, block: pa.Table) -> pa.Table:
        return pa.table({"receipt": [self._publish(block).to_text()]})


def receipts(units: Sequence[Unit], job: Job, load: LoadEngine, *, num_rows: int) -> Iterator[Receipt]:
    """Run the units and yield the receipt of each as it ends; no row reaches the driver. `load` makes an engine.

    `num_rows` are asked of them: in a retry few of each.
    """
    resources = job.spec.resources
    num_planned = sum(unit.num_rows for unit in units)
    at_once, at_hand = units_at_once(num_planned, num_rows), _units_at_hand(num_planned / len(units))
    settle_context(resources.deadline)
    beside = open_desk()
    actors = min(resources.actors, len(units))
    publishers = -(-actors // GENERATORS_PER_PUBLISHER)

    def open_the_gate(num_done: int) -> None:
        readers = int(ray.cluster_resources().get("CPU", 0))  # nodes come and go
        beside.open_to(window.limit(num_done, actors * (at_once + at_hand) + (readers + publishers) * at_hand))

    open_the_gate(0)
    log.info("starting %d engine%s", actors, "" if actors == 1 else "s")
    source = Units(units, beside)
    labelled = (
        ray.data.read_datasource(
            source,
            override_num_blocks=source.num_blocks,
            compute=TaskPoolStrategy(size=1),
            num_cpus=0,  # it mostly waits
        )
        .map_batches(
            Read,
            batch_size=None,
            batch_format="pyarrow",
            zero_copy_batch=True,
            compute=ActorPoolStrategy(min_size=1, max_size=len(units), max_tasks_in_flight_per_actor=at_hand),
            num_cpus=1,
            memory=READ_MEMORY,
            fn_constructor_args=(job, beside),
        )
        .map_batches(
            Generate,
            batch_size=None,
            batch_format="pyarrow",
            zero_copy_batch=True,
            compute=ActorPoolStrategy(
                size=actors,
                max_concurrent_calls_per_actor=at_once,
                max_tasks_in_flight_per_actor=at_once + at_hand,
                enable_true_multi_threading=True,
            ),
            num_gpus=resources.gpus_per_actor or None,
            num_cpus=0 if resources.gpus_per_actor else 1,
            fn_constructor_args=(job, beside, load),
        )
        .map_batches(
            Publish,
            batch_size=None,
            batch_format="pyarrow",
            zero_copy_batch=True,
            compute=ActorPoolStrategy(size=publishers, max_tasks_in_flight_per_actor=at_hand),
            num_cpus=0,
            fn_constructor_args=(job, beside),
        )
    )
    with Ticker(_told_of_engines(beside, actors), every=1.0):
        for num_done, row in enumerate(labelled.iter_rows(), start=1):
            if num_done % HEARD_TOGETHER == 0:
                open_the_gate(num_done)
            yield Receipt.from_text(row["receipt"])


def _told_of_engines(beside: Beside, num_engines: int) -> Callable[[], None]:
    """What looks how many engines are up, and says so where more are."""
    num_up = 0

    def look() -> None:
        nonlocal num_up
        if num_up < num_engines and (found := min(beside.num_engines(), num_engines)) > num_up:
            num_up = found
            log.info("%d of %d engines up, the first unit is under way", num_up, num_engines)

    return look


def _units_at_hand(rows_per_unit: float) -> int:
    return max(2, min(MOST_AT_HAND, int(ROWS_AT_HAND / rows_per_unit)))


def _give_way() -> None:
    """Where cores are short the engine's process goes first: a device that waits costs more than a reader."""
    os.setpriority(os.PRIO_PROCESS, 0, 19)
