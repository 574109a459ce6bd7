"""How far a run is: the quick look at its own documents, the stamps of its parts, and what runs say of themselves."""

from __future__ import annotations

from dataclasses import dataclass

from relabel.data.output.audit import audit
from relabel.data.output.manifest import SUCCESS, read_gates, run_of
from relabel.data.output.report import Report
from relabel.data.runs.heard import Runs, hear
from relabel.data.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How far a run is."""

    report: Report
    success: bool
    """Whether a run has counted everything and said so."""
    runs: Runs
    """What is heard of those that are at work, and what all have spent."""

    def to_json(self) -> dict[str, object]:
        return {**self.report.to_json(), "success": self.success, **self.runs.to_json()}


def status(store: Store) -> Status:
    """How far the run is, by the stamps of its parts and the limits that were last judged by.

    Raises Refused where no run was begun, or where its documents are damaged.
    """
    run, runs = run_of(store), hear(store)
    report = audit(run.plan, store, run.fingerprint, read_gates(store))
    return Status(report=report, success=store.read_json(SUCCESS) is not None, runs=runs)
