"""What a run needs of whoever does its work: units in, a receipt for each out. One is Ray, one this process.

Knows how receipts are counted and shown; nothing of how they are come by.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from relabel.data.sources.unit import Unit
from relabel.job.job import Job
from relabel.job.progress import RunProgress, add_receipt, no_figures
from relabel.job.receipt import Receipt


class Executor(Protocol):
    """Reads, generates and publishes units, in any order and as many at a time as it likes."""

    def __call__(self, units: Sequence[Unit], job: Job, *, num_rows: int) -> Iterator[Receipt]:
        """The receipt of each unit, as it ends; `num_rows` of their rows are asked, in a retry few of each.

        Raises RelabelError where no unit can be done any more; what was published until then stands.
        """
        ...


def execute_units(units: Sequence[Unit], job: Job, execute: Executor, *, num_rows: int) -> dict[str, object]:
    """Have the units done and show how they come along; the figures of this run alone."""
    receipts = execute(units, job, num_rows=num_rows)
    with RunProgress(num_units=len(units), num_rows=num_rows) as progress:
        for receipt in receipts:
            progress.add(receipt)
    return progress.totals()


class Counted:
    """An executor and what it has done so far, for whoever must know it in the middle."""

    def __init__(self, execute: Executor) -> None:
        self._execute = execute
        self.done_now = no_figures()

    def __call__(self, units: Sequence[Unit], job: Job, *, num_rows: int) -> Iterator[Receipt]:
        return map(self._count, self._execute(units, job, num_rows=num_rows))

    def _count(self, receipt: Receipt) -> Receipt:
        add_receipt(self.done_now, receipt)
        return receipt


def executor_at(address: str) -> Executor:
    """The Ray cluster at this address."""
    from relabel.job.cluster.execute import OnRay  # 1 s of imports that a run in this process does without

    return OnRay(address)
