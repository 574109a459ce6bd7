"""The Ray Data graph of a run: units are handed out in chunks, actors read and encode, others generate, others publish.

A unit is one block from end to end. Ray repeats a task whose process died, and a repeated task that cut its output
elsewhere would lose or double rows without a word; with one block a task, and `target_max_block_size` off, it cannot.
The one task that makes several blocks is the source, and a chunk of it is cut into the same rows whenever it is made.
"""

from __future__ import annotations

import logging
import os
import time
import uuid
from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa
import ray
from ray.data import TaskPoolStrategy

from relabel.data.sources.unit import Unit
from relabel.errors import DeviceLost, RelabelError
from relabel.job.cluster.beside import Beside, open_desk
from relabel.job.cluster.meter import RayMeter, follow_engine
from relabel.job.cluster.pools import pools_of
from relabel.job.cluster.settings import settle_context
from relabel.job.cluster.source import Units
from relabel.job.course import Course
from relabel.job.faults.deaths import DeathCounter
from relabel.job.faults.parent import end_with_parent
from relabel.job.faults.watchdog import Watchdog
from relabel.job.job import Job
from relabel.job.metrics.of_engine import EngineLook
from relabel.job.progress.ticker import Ticker
from relabel.job.receipt import Receipt
from relabel.job.stages.block import failed_block, is_over, unit_of
from relabel.job.stream import window
from relabel.job.stream.allowance import HELD_BACK
from relabel.job.stream.handful import units_together
from relabel.job.stream.pace import Pace
from relabel.job.stream.packed import packed, unpacked
from relabel.job.stream.rows import units_of_row
from relabel.job.stream.waits import Waits
from relabel.job.tail.copies import Copies
from relabel.job.worker import Generator, LoadEngine, Publisher, Reader, units_at_once

log = logging.getLogger("relabel")

READ_MEMORY = 512 * 2**20
"""Bytes set aside for each unit that is being read: its images, encoded and decoded."""
HEARD_TOGETHER = 32
"""Handfuls after whose end others may be handed out."""
LOOKED_AT = 1024
"""Units whose rows are counted to know how many rows a unit has."""


class Read:
    """The first actor: reads and encodes a unit after the other.

    Ray Data starts as many as there are CPUs for, and units that wait. No task: Ray ends idle workers after a second,
    whose successor imports everything anew, for 3 s.
    """

    def __init__(self, job: Job, beside: Beside) -> None:
        end_with_parent()
        _give_way()
        self._read = Reader(job, beside, Watchdog(job.spec.resources.deadline))

        self._beside, self._is_limited = beside, job.spec.resources.budget.is_set

    def __call__(self, row: pa.Table) -> pa.Table:
        units = units_of_row(row)
        if self._is_limited and self._beside.is_over():
            return packed([failed_block(unit, HELD_BACK) for unit in units])
        return packed(self._read.each(units))


class Generate:
    """The actor: holds the model and generates for a few units side by side, each in a thread of its own."""

    def __init__(self, job: Job, beside: Beside, load: LoadEngine, run: str) -> None:
        end_with_parent()  # what hangs in Ray's own exit would hold the GPU
        self._refusal: RelabelError | None = None
        """Why there is no engine. Raised here Ray would load it four times over, and hand on the text alone."""
        began = time.monotonic()
        try:
            engine = load(job.spec)
        except RelabelError as error:
            self._refusal = error
            return
        waits = Waits(time.monotonic() - began)
        beside.add_engine()
        follow_engine(RayMeter(run), EngineLook(uuid.uuid4().hex[:8], waits, lambda: engine.goodput))
        watchdog = Watchdog(job.spec.resources.deadline, lambda: engine.goodput.num_forwards)
        self._generate = Generator(job, beside, watchdog, engine, waits)
        self._copies: Copies | None = None
        if job.makes_copies:
            log = DeathCounter()
            publish = Publisher(job, log, Watchdog(job.spec.resources.deadline))
            self._copies = Copies(beside, waits, self._generate.counted_by(log), publish)
        self._beside, self._is_limited = beside, job.spec.resources.budget.is_set

    def __call__(self, block: pa.Table) -> pa.Table:
        if self._refusal is not None:
            raise self._refusal
        blocks = self._allowed(unpacked(block)) if self._is_limited else unpacked(block)
        try:
            if self._copies is None:
                return packed(self._generate.each(blocks))
            return packed(self._copies.beside(self._generate.each, blocks))
        except DeviceLost:
            self._beside.lose_device("generating", [unit_of(one).part for one in blocks])
            os._exit(1)  # Ray starts another process, and the attempts are counted

    def _allowed(self, blocks: list[pa.Table]) -> list[pa.Table]:
        """Those of units that may begin, and in place of others why not."""
        units = {at: unit_of(block) for at, block in enumerate(blocks) if not is_over(block)}
        allowed = self._beside.may_begin([unit.part for unit in units.values()])
        held_back = {at: unit for (at, unit), may in zip(units.items(), allowed, strict=True) if not may}
        return [failed_block(held_back[at], HELD_BACK) if at in held_back else block for at, block in enumerate(blocks)]


class Publish:
    """The last stage: one block in, one receipt out.

    An actor, because tasks would wait for CPUs behind those that read, and what waits is lost with the driver.
    """

    def __init__(self, job: Job, beside: Beside) -> None:
        end_with_parent()
        _give_way()
        self._publish = Publisher(job, beside, Watchdog(job.spec.resources.deadline))

    def __call__(self, block: pa.Table) -> pa.Table:
        return pa.table({"receipt": [receipt.to_text() for receipt in self._publish.each(unpacked(block))]})


def receipts(units: Sequence[Unit], job: Job, load: LoadEngine, *, num_rows: int, course: Course) -> Iterator[Receipt]:
    """Run the units and yield the receipt of each as it ends; no row reaches the driver. `load` makes an engine.

    `num_rows` are asked of them: in a retry few of each. Of units that `course` lets not begin there is no receipt.
    """
    resources = job.spec.resources
    num_planned = _planned_rows(units)
    together = units_together(len(units), num_planned)
    settle_context(resources.deadline, keep_idle=job.makes_copies)
    beside = open_desk(resources.deadline)
    source = Units(units, beside, together=together)
    pools = pools_of(
        resources,
        num_handfuls=source.num_handfuls,
        handful_rows=together * num_planned / len(units),
        units_at_once=units_at_once(num_planned, num_rows),
        together=together,
    )

    def open_the_gate(num_done: int) -> None:
        num_cpus = int(ray.cluster_resources().get("CPU", 0))  # nodes come and go
        beside.open_to(window.limit(num_done // together, pools.slots(num_cpus)))

    open_the_gate(0)
    log.info("starting %s", pools.said)
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
            compute=pools.reading,
            num_cpus=1,
            memory=READ_MEMORY,
            fn_constructor_args=(job, beside),
        )
        .map_batches_internal(  # the same, which takes whole blocks with GPUs, too: `map_batches` refuses that
            Generate,
            batch_size=None,
            batch_format="pyarrow",
            zero_copy_batch=True,
            compute=pools.generating,
            num_gpus=resources.gpus_per_actor or None,
            num_cpus=0 if resources.gpus_per_actor else 1,
            fn_constructor_args=(job, beside, load, course.run),
        )
        .map_batches(
            Publish,
            batch_size=None,
            batch_format="pyarrow",
            zero_copy_batch=True,
            compute=pools.publishing,
            num_cpus=0,
            fn_constructor_args=(job, beside),
        )
    )
    pace, look = Pace(beside, course), _told(beside, pools.most, course)
    with Ticker(look, every=1.0):
        for num_done, row in enumerate(labelled.iter_rows(), start=1):
            if num_done % (HEARD_TOGETHER * together) == 0 and not pace.is_over:
                open_the_gate(num_done)
            receipt = Receipt.from_text(row["receipt"])
            if not pace.holds_back(receipt):
                yield receipt
            if pace.is_done():
                break
    look()  # who died since


def _told(beside: Beside, num_engines: int, course: Course) -> Callable[[], None]:
    """What looks how many engines are up, says so where more are, and hands on what else is known."""

    def look() -> None:
        found, course.seen = beside.said()
        if course.num_engines < num_engines and found > course.num_engines:
            course.num_engines = min(found, num_engines)
            log.info("%d of %d engines up, the first unit is under way", course.num_engines, num_engines)

    return look


def _planned_rows(units: Sequence[Unit]) -> int:
    """How many rows they have, by some of them: half a second goes into 400,000 units else."""
    some = units[:: -(-len(units) // LOOKED_AT)]
    return round(sum(unit.num_rows for unit in some) * len(units) / len(some))


def _give_way() -> None:
    """Where cores are short the engine's process goes first: a device that waits costs more than a reader."""
    os.setpriority(os.PRIO_PROCESS, 0, 19)
