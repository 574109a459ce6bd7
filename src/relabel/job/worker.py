"""What a process does with a unit in each stage, and what becomes of the unit where that fails.

The same on every executor: counts attempts, watches for hangs, turns errors into failed units. Must never know Ray.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import partial

import pyarrow as pa

from relabel.data.output.binding import Binding
from relabel.data.sources.unit import Unit
from relabel.data.store.store import Store
from relabel.engine.api.engine import Engine
from relabel.engine.model.faults import is_device_fault
from relabel.errors import DeviceLost, RunFailed, UnitGivenUp
from relabel.job.engine import report_of
from relabel.job.faults.attempt import UnitAttempt, attempt, attempt_in_company
from relabel.job.faults.attempt_log import AttemptLog
from relabel.job.faults.shared_lock import SharedLock
from relabel.job.faults.watchdog import Watchdog
from relabel.job.job import Job
from relabel.job.receipt import Receipt
from relabel.job.stages.block import failed_block, is_over, unit_of, with_report
from relabel.job.stages.generate import generate_unit
from relabel.job.stages.publish import publish_unit
from relabel.job.stages.read import prepare_reading, read_unit
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
        prepare_reading(self._job)  # outside of the watch: no row is to blame for an import that takes long
        try:
            return attempt(self._log, "reading", unit, self._watchdog, lambda how: read_unit(unit, self._job, how))
        except UnitGivenUp as error:
            return failed_block(unit, str(error))


class Generator:
    """Generates the texts of a block; several threads may call it, for units side by side."""

    def __init__(self, job: Job, log: AttemptLog, watchdog: Watchdog, engine: Engine) -> None:
        self._job, self._log, self._watchdog, self._engine = job, log, watchdog, engine
        self._lock = SharedLock()
        self._process = uuid.uuid4().hex

    def __call__(self, block: pa.Table) -> pa.Table:
        """The block with its texts, or why there are none.

        Raises RunFailed where nothing can be generated any more; DeviceLost where this process is of no more use.
        """
        if is_over(block):
            return block
        unit, generate = unit_of(block), partial(self._generate, block)
        try:
            with self._lock.shared():
                done = attempt_in_company(self._log, "generating", unit, self._watchdog, generate)
            if done is not None:
                return done
            with self._lock.exclusive():  # a process died with it: it must not take others along
                return attempt(self._log, "generating", unit, self._watchdog, generate)
        except UnitGivenUp as error:
            return failed_block(unit, str(error))
        except RunFailed:  # no unit can be generated any more
            raise
        except Exception as error:  # the boundary of a unit: the others go on
            if is_device_fault(error):
                raise DeviceLost("the device was lost; the same command goes on from here") from error
            return failed_block(unit, f"generating failed with {type(error).__name__}; the same command tries it again")

    def _generate(self, block: pa.Table, how: UnitAttempt) -> pa.Table:
        generated = generate_unit(block, self._engine, self._job, how)
        return with_report(generated, report_of(self._engine, self._process))


class Publisher:
    """Makes the part of a generated block."""

    def __init__(self, job: Job, log: AttemptLog, watchdog: Watchdog) -> None:
        self._job, self._log, self._watchdog = job, log, watchdog
        self._store = Store(job.output)
        self._binding = Binding(self._store, job.fingerprint)

    def __call__(self, block: pa.Table) -> Receipt:
        unit = unit_of(block)

        def publish(how: UnitAttempt) -> Receipt:
            return publish_unit(block, self._job, self._store, how, self._binding)

        try:
            return attempt(self._log, "publishing", unit, self._watchdog, publish)
        except UnitGivenUp as error:
            return Receipt(part=unit.part, failure=str(error))
