"""How far a run is: the quick look at its own documents and the stamps of its parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from relabel.data.output.audit import SUCCESS, audit
from relabel.data.output.manifest import GATES, RUN, Run, read_gates, read_run
from relabel.data.output.report import Report
from relabel.data.store.store import Store
from relabel.errors import Refused
from relabel.spec import Gate


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How far a run is."""

    report: Report
    success: bool
    """Whether a run has counted everything and said so."""

    def to_json(self) -> dict[str, Any]:
        return {**self.report.to_json(), "success": self.success}


def status(store: Store) -> Status:
    """How far the run is, by the stamps of its parts and the limits that were last judged by.

    Raises Refused where no run was begun.
    """
    run = run_of(store)
    report = audit(run.plan, store, run.fingerprint, _gates(store))
    return Status(report=report, success=store.read_json(SUCCESS) is not None)


def run_of(store: Store) -> Run:
    if (run := read_run(store)) is None:
        raise Refused(f"{store.url} holds no {RUN}: no run was begun there")
    return run


def _gates(store: Store) -> dict[str, Gate]:
    """The limits that the newest run was judged by."""
    try:
        return {name: Gate.model_validate(limits) for name, limits in read_gates(store).items()}
    except (AttributeError, ValueError) as error:
        raise Refused(f"{store.url}/{GATES} is not what this version writes") from error
