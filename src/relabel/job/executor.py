"""What a run needs of whoever does its work: units in, a receipt for each out. One is Ray, one this process.

Knows how receipts are counted and shown; nothing of how they are come by.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from relabel.data.sources.unit import Unit
from relabel.job.budget.guard import Guard
from relabel.job.course import Course
from relabel.job.job import Job
from relabel.job.metrics.follow import following
from relabel.job.progress.heartbeat import Heartbeat
from relabel.job.progress.recount import Recount
from relabel.job.progress.units import RunProgress, add_receipt, no_figures
from relabel.job.receipt import Receipt
from relabel.job.rejects.tally import FEWEST_LABELLED, RejectTally


class Executor(Protocol):
    """Reads, generates and publishes units, in any order and as many at a time as it likes."""

    def __call__(
        self, units: Sequence[Unit], job: Job, *, num_rows: int, course: Course
    ) -> AbstractContextManager[Iterator[Receipt]]:
        """The receipt of each unit, as it ends; `num_rows` of their rows are asked, in a retry few of each.

        `course` says how many may begin, which may change with each receipt, and is told of engines.
        What is held meanwhile, an engine or a connection to Ray, ends with the block, also where nobody took a receipt.
        Raises RelabelError where no unit can be done any more; what was published until then stands.
        """
        ...


def execute_units(
    units: Sequence[Unit], job: Job, execute: Executor, guard: Guard, *, num_rows: int, recount: Recount
) -> dict[str, object]:
    """Have the units done and show how they come along, and count in between; the figures of this run alone.

    Where nearly all of the first rows are rejected for one reason it ends there: `stopped` in the figures says why.
    Where the guard lets no more begin, what has begun is finished: `reached` has the limit. `changed` has the parts
    whose units have other rows now, where there are any; `copies` how many of the last units were made twice, where
    that may be.
    """
    tally, stopped, changed, course = RejectTally(), None, list[str](), guard.course
    heartbeat = Heartbeat(
        *(job, course),
        num_units=len(units),
        num_rows=num_rows,
        budget=guard.limits,
        others=guard.hear_others if course.is_limited else None,
    )
    course.run = heartbeat.run
    # the time that is shown is that of the units, without the start of Ray or of an engine
    with (
        recount,  # waited for when the engines have been let go
        heartbeat,
        execute(units, job, num_rows=num_rows, course=course) as receipts,
        RunProgress(num_units=len(units), num_rows=num_rows) as progress,
        heartbeat.watching(progress),
        following(heartbeat, progress, course, job.spec.model.path),
    ):
        for receipt in receipts:
            progress.add(receipt)
            if receipt.failure is None:
                recount.published()
            guard.hear(progress.figures, progress.engines)
            changed += [receipt.part] if receipt.changed else []
            tally.add(receipt.rows, receipt.reasons, receipt.examples)
            if (stopped := tally.hopeless(job.spec.queries, fewest=FEWEST_LABELLED)) is not None:
                heartbeat.end("stopped", stopped)
                break
        reached = None if stopped else guard.ended_by(progress.figures["units"] + progress.figures["failed"])
        if reached is not None:
            heartbeat.end("stopped", f"resources.budget.{reached} is reached", reached, is_whole=True)
    copies = course.seen.copies if job.makes_copies else None
    found = {"stopped": stopped, "changed": changed, "reached": reached, "copies": copies}
    return {**progress.totals(), **{name: value for name, value in found.items() if value}}


class Counted:
    """An executor and what it has done so far, for whoever must know it in the middle."""

    def __init__(self, execute: Executor) -> None:
        self._execute = execute
        self.done_now = no_figures()

    @contextmanager
    def __call__(
        self, units: Sequence[Unit], job: Job, *, num_rows: int, course: Course
    ) -> Generator[Iterator[Receipt]]:
        with self._execute(units, job, num_rows=num_rows, course=course) as receipts:
            yield self._counted(receipts)

    def _counted(self, receipts: Iterator[Receipt]) -> Iterator[Receipt]:
        for receipt in receipts:
            add_receipt(self.done_now, receipt)
            yield receipt


def executor_at(address: str) -> Executor:
    """The Ray cluster at this address."""
    from relabel.job.cluster.execute import OnRay  # 1 s of imports that a run in this process does without

    return OnRay(address)
