"""What a run needs of whoever does its work: units in, a receipt for each out. One is Ray, one this process.

Knows how receipts are counted and shown; nothing of how they are come by.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from relabel.data.sources.unit import Unit
from relabel.job.job import Job
from relabel.job.progress.units import RunProgress, add_receipt, no_figures
from relabel.job.receipt import Receipt
from relabel.job.rejects.tally import FEWEST_LABELLED, RejectTally


class Executor(Protocol):
    """Reads, generates and publishes units, in any order and as many at a time as it likes."""

    def __call__(self, units: Sequence[Unit], job: Job, *, num_rows: int) -> AbstractContextManager[Iterator[Receipt]]:
        """The receipt of each unit, as it ends; `num_rows` of their rows are asked, in a retry few of each.

        What is held meanwhile, an engine or a connection to Ray, ends with the block, also where nobody took a receipt.
        Raises RelabelError where no unit can be done any more; what was published until then stands.
        """
        ...


def execute_units(units: Sequence[Unit], job: Job, execute: Executor, *, num_rows: int) -> dict[str, object]:
    """Have the units done and show how they come along; the figures of this run alone.

    Where nearly all of the first rows are rejected for one reason it ends there: `stopped` in the figures says why.
    `changed` has the parts whose units have other rows now, where there are any.
    """
    tally, stopped, changed = RejectTally(), None, list[str]()
    # the time that is shown is that of the units, without the start of Ray or of an engine
    with (
        execute(units, job, num_rows=num_rows) as receipts,
        RunProgress(num_units=len(units), num_rows=num_rows) as progress,
    ):
        for receipt in receipts:
            progress.add(receipt)
            changed += [receipt.part] if receipt.changed else []
            tally.add(receipt.rows, receipt.reasons, receipt.examples)
            if (stopped := tally.hopeless(job.spec.queries, fewest=FEWEST_LABELLED)) is not None:
                break
    found = {"stopped": stopped, "changed": changed}
    return {**progress.totals(), **{name: value for name, value in found.items() if value}}


class Counted:
    """An executor and what it has done so far, for whoever must know it in the middle."""

    def __init__(self, execute: Executor) -> None:
        self._execute = execute
        self.done_now = no_figures()

    @contextmanager
    def __call__(self, units: Sequence[Unit], job: Job, *, num_rows: int) -> Generator[Iterator[Receipt]]:
        with self._execute(units, job, num_rows=num_rows) as receipts:
            yield self._counted(receipts)

    def _counted(self, receipts: Iterator[Receipt]) -> Iterator[Receipt]:
        for receipt in receipts:
            add_receipt(self.done_now, receipt)
            yield receipt


def executor_at(address: str) -> Executor:
    """The Ray cluster at this address."""
    from relabel.job.cluster.execute import OnRay  # 1 s of imports that a run in this process does without

    return OnRay(address)
