"""What a process does with a unit in each stage, and what becomes of the unit where that fails.

The same on every executor: counts attempts, watches for hangs, turns errors into failed units. Must never know Ray.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pyarrow as pa

from relabel.data.output.binding import Binding
from relabel.data.sources.unit import Unit
from relabel.data.store.store import Store
from relabel.engine.api.engine import Engine
from relabel.engine.model.faults import is_device_fault
from relabel.errors import DeviceLost, RunFailed
from relabel.job.engine import report_of
from relabel.job.faults.attempt import UnitAttempt, attempt_each
from relabel.job.faults.attempt_log import AttemptLog
from relabel.job.faults.shared_lock import SharedLock
from relabel.job.faults.watchdog import Watchdog
from relabel.job.job import Job
from relabel.job.receipt import Receipt
from relabel.job.stages.block import failed_block, is_over, unit_of, with_report
from relabel.job.stages.generate import generate_unit
from relabel.job.stages.publish import publish_unit
from relabel.job.stages.read import prepare_reading, read_unit
from relabel.job.stream.prepared import as_prepared, prepared_of
from relabel.job.stream.waits import Waits
from relabel.spec import Spec

UNITS_AT_ONCE = 3
"""Units that an engine serves side by side: the last rows of one never leave the device empty."""
MOST_UNITS_AT_ONCE = 48
"""Where few rows of each are asked: each is a thread of the process and a block in memory."""

LoadEngine = Callable[[Spec], Engine]


def units_at_once(num_planned: int, num_asked: int) -> int:
    """So many that an engine has the rows of UNITS_AT_ONCE whole units before it, up to MOST_UNITS_AT_ONCE."""
    if not num_asked:
        return UNITS_AT_ONCE
    return min(UNITS_AT_ONCE * max(1, num_planned // num_asked), MOST_UNITS_AT_ONCE)


class Reader:
    """Makes the block of a unit, encoded for the engine."""

    def __init__(self, job: Job, log: AttemptLog, watchdog: Watchdog) -> None:
        self._job, self._log, self._watchdog = job, log, watchdog

    def __call__(self, unit: Unit) -> pa.Table:
        return self.each([unit])[0]

    def each(self, units: Sequence[Unit]) -> list[pa.Table]:
        """The blocks of a handful of units."""
        prepare_reading(self._job)  # outside of the watch: no row is to blame for an import that takes long

        def work(at: int, how: UnitAttempt) -> pa.Table:
            return as_prepared(read_unit(units[at], self._job, how))

        def given_up(at: int, why: str) -> pa.Table:
            return failed_block(units[at], why)

        return attempt_each(self._log, "reading", units, self._watchdog, work, given_up)


class Generator:
    """Generates the texts of a block; several threads may call it, for units side by side."""

    def __init__(
        self, job: Job, log: AttemptLog, watchdog: Watchdog, engine: Engine, waits: Waits, *, process: str = ""
    ) -> None:
        """`process`: what its reports are known by, where there is another one around the same engine."""
        self._job, self._log, self._watchdog, self._engine, self._waits = job, log, watchdog, engine, waits
        self._lock = SharedLock()
        self._process = process or uuid.uuid4().hex
        self._threads = ThreadPoolExecutor(MOST_UNITS_AT_ONCE)  # begun where units come several together

    def __call__(self, block: pa.Table) -> pa.Table:
        """The block with its texts, or why there are none.

        Raises RunFailed where nothing can be generated any more; DeviceLost where this process is of no more use.
        """
        return self.each([block])[0]

    def each(self, blocks: Sequence[pa.Table]) -> list[pa.Table]:
        """The same of a handful of blocks, side by side."""
        asked = [block for block in blocks if not is_over(block)]
        units = [unit_of(block) for block in asked]

        def given_up(at: int, why: str) -> pa.Table:
            return failed_block(units[at], why)

        done = iter(
            attempt_each(
                self._log,
                "generating",
                units,
                self._watchdog,
                lambda at, how: self._generate(asked[at], units[at], how),
                given_up,
                each=self._threads.map if len(units) > 1 else map,
                company=self._lock.shared,
                alone=self._lock.exclusive,  # a process died with it: it must not take others along
            )
            if units
            else []
        )
        return [block if is_over(block) else next(done) for block in blocks]

    def counted_by(self, log: AttemptLog) -> Generator:
        """The same around the same engine, whose attempts somebody else counts."""
        return Generator(self._job, log, self._watchdog, self._engine, self._waits, process=self._process)

    def _generate(self, block: pa.Table, unit: Unit, how: UnitAttempt) -> pa.Table:
        began = time.monotonic()
        try:
            with self._waits.working(prepared_of(block)):
                generated = generate_unit(block, self._engine, self._job, how)
                report = report_of(self._engine, self._process)
                took = time.monotonic() - began
                report = replace(report, waited=self._waits.so_far(), unit_seconds=took)
            return with_report(generated, report)
        except RunFailed:  # no unit can be generated any more
            raise
        except Exception as error:  # the boundary of a unit: the others go on
            if is_device_fault(error):
                raise DeviceLost("the device was lost; the same command goes on from here") from error
            return failed_block(unit, f"generating failed with {type(error).__name__}; the same command tries it again")


class Publisher:
    """Makes the part of a generated block."""

    def __init__(self, job: Job, log: AttemptLog, watchdog: Watchdog) -> None:
        self._job, self._log, self._watchdog = job, log, watchdog
        self._store = Store(job.output)
        self._binding = Binding(self._store, job.fingerprint)

    def __call__(self, block: pa.Table) -> Receipt:
        return self.each([block])[0]

    def each(self, blocks: Sequence[pa.Table]) -> list[Receipt]:
        """The receipts of a handful of blocks."""
        units = [unit_of(block) for block in blocks]

        def work(at: int, how: UnitAttempt) -> Receipt:
            return publish_unit(blocks[at], self._job, self._store, how, self._binding)

        def given_up(at: int, why: str) -> Receipt:
            return Receipt(part=units[at].part, failure=why)

        return attempt_each(self._log, "publishing", units, self._watchdog, work, given_up)
