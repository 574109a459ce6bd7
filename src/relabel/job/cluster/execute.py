"""Units to receipts on a Ray cluster: the connection, the graph, and what Ray raises as an error of our own."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager

import ray.exceptions
from ray.data.exceptions import ExecutionTimeoutError

from relabel.data.sources.unit import Unit
from relabel.errors import RelabelError, RunFailed
from relabel.job.cluster.connect import connected
from relabel.job.cluster.graph import receipts
from relabel.job.cluster.meter import RayMeter
from relabel.job.course import Course
from relabel.job.engine import engine_of
from relabel.job.job import Job
from relabel.job.receipt import Receipt
from relabel.job.worker import LoadEngine


class OnRay:
    """The executor on the Ray cluster at `address`; `load` makes an engine in each actor."""

    def __init__(self, address: str, *, load: LoadEngine = engine_of) -> None:
        self._address, self._load = address, load

    @contextmanager
    def __call__(
        self, units: Sequence[Unit], job: Job, *, num_rows: int, course: Course
    ) -> Generator[Iterator[Receipt]]:
        """Connected as long as the block lasts."""
        with (
            connected(self._address, job.spec.resources),
            closing(self._receipts(units, job, num_rows, course)) as done,
        ):
            course.meter = RayMeter(course.run)
            yield done

    def _receipts(self, units: Sequence[Unit], job: Job, num_rows: int, course: Course) -> Generator[Receipt]:
        try:
            yield from receipts(units, job, self._load, num_rows=num_rows, course=course)
        except (ray.exceptions.RayError, ExecutionTimeoutError) as error:
            raise _cause(error) from error


def _cause(error: BaseException) -> RelabelError:
    """Our own error inside what Ray raised, or RunFailed with the last line of it."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, RelabelError):
            return seen
        seen = getattr(seen, "cause", None) or seen.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return RunFailed(f"Ray ended the run: {lines[-1] if lines else error!r}; the same command goes on from here")
