"""Units to receipts on a Ray cluster: the connection, the progress, and what Ray raises as an error of our own."""

from __future__ import annotations

from typing import Any

import ray.exceptions
from ray.data.exceptions import ExecutionTimeoutError

from relabel.data.sources.unit import Unit
from relabel.errors import RelabelError, RunFailed
from relabel.job.cluster.connect import connected
from relabel.job.cluster.graph import receipts
from relabel.job.job import Job
from relabel.job.progress import RunProgress


def label_units(todo: list[Unit], job: Job, address: str, *, num_rows: int) -> dict[str, Any]:
    """Send the units through the graph, on the Ray cluster at `address`; `num_rows` of them are asked. The figures."""
    with connected(address, job.spec.resources):
        with RunProgress(num_units=len(todo), num_rows=num_rows) as progress:
            try:
                for receipt in receipts(todo, job, num_rows=num_rows):
                    progress.add(receipt)
            except (ray.exceptions.RayError, ExecutionTimeoutError) as error:
                raise _cause(error) from error
        return progress.totals()


def _cause(error: BaseException) -> RelabelError:
    """Our own error inside what Ray raised, or RunFailed with the last line of it."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, RelabelError):
            return seen
        seen = getattr(seen, "cause", None) or seen.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return RunFailed(f"Ray ended the run: {lines[-1] if lines else error!r}; the same command goes on from here")
