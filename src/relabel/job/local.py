"""Units to receipts in this process, without Ray: for small jobs, for machines that have no Ray, and for tests.

One engine, a few threads. A row that kills its process ends the run here, and the same command meets it again: only
with Ray is there anyone left to find the row.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from itertools import islice

from relabel.data.sources.unit import Unit
from relabel.errors import RelabelError, RunFailed
from relabel.job.course import Course
from relabel.job.engine import engine_of
from relabel.job.faults.deaths import DeathCounter
from relabel.job.faults.watchdog import Watchdog
from relabel.job.job import Job
from relabel.job.receipt import Receipt
from relabel.job.stream.waits import Waits
from relabel.job.worker import Generator as UnitGenerator
from relabel.job.worker import LoadEngine, Publisher, Reader, units_at_once

log = logging.getLogger("relabel")


class InProcess:
    """The executor without Ray: threads that read, generate and publish a unit each, around one engine."""

    def __init__(self, *, load: LoadEngine = engine_of, max_threads: int | None = None) -> None:
        """`load` makes the engine; `max_threads` limits how many units are under way side by side."""
        self._load, self._max_threads = load, max_threads

    @contextmanager
    def __call__(
        self, units: Sequence[Unit], job: Job, *, num_rows: int, course: Course
    ) -> Generator[Iterator[Receipt]]:
        """An engine is held as long as the block lasts. Where that is left early, what is under way is given up."""
        num_threads = units_at_once(sum(unit.num_rows for unit in units), num_rows)
        log.info("starting an engine")
        with _in_a_sentence():
            work = _Work(job, self._load)
        course.num_engines = 1
        num_threads = min(num_threads, self._max_threads or num_threads)
        with closing(work), closing(_each(work, units, num_threads, course)) as done:
            yield done


@contextmanager
def _in_a_sentence() -> Generator[None]:
    """The boundary of the run, as with Ray: no row text is in a traceback."""
    try:
        yield
    except RelabelError:
        raise
    except Exception as error:
        raise RunFailed(
            f"{type(error).__name__} ended the run: --debug shows where; the same command goes on"
        ) from error


class _Work:
    """What becomes of one unit from its file to its part; several threads call it."""

    def __init__(self, job: Job, load: LoadEngine) -> None:
        began = time.monotonic()
        log, engine = DeathCounter(), load(job.spec)
        waits = Waits(time.monotonic() - began)
        self._num_done, self._is_closed = 0, threading.Event()
        # one for all threads: Python has one such alarm in a process
        self._watchdog = watchdog = Watchdog(
            job.spec.resources.deadline, lambda: (engine.goodput.num_forwards, self._num_done)
        )
        self._read, self._publish = Reader(job, log, watchdog), Publisher(job, log, watchdog)
        self._generate = UnitGenerator(job, log, watchdog, engine, waits)
        self._reading, self._publishing = threading.Lock(), threading.Lock()
        """A tokenizer serves one thread at a time; and who waits here is not early with its images in memory."""

    def close(self) -> None:
        """Begin nothing any more, no unit and no stage of one, and let go of the engine."""
        self._is_closed.set()
        self._watchdog.close()

    def __call__(self, unit: Unit) -> Receipt:
        """Raises CancelledError where nobody waits for the unit any more; nothing of it is published then."""
        with self._reading:
            self._go_on()
            block = self._read(unit)
        self._go_on()
        block = self._generate(block)
        with self._publishing:
            self._go_on()
            receipt = self._publish(block)
            self._num_done += 1
        return receipt

    def _go_on(self) -> None:
        if self._is_closed.is_set():
            raise CancelledError


def _each(work: _Work, units: Sequence[Unit], num_threads: int, course: Course) -> Generator[Receipt]:
    """The receipts as they come. After an error what is under way is ended, what waits is not begun."""
    threads, pending, num_begun = ThreadPoolExecutor(num_threads), set[Future[Receipt]](), 0
    try:
        left = iter(units)
        while True:
            most = num_threads - len(pending)
            if course.most_begun is not None:
                most = min(most, max(0, course.most_begun - num_begun))
            begun = {threads.submit(work, unit) for unit in islice(left, most)}
            pending, num_begun = pending | begun, num_begun + len(begun)
            if not pending:
                return
            with _in_a_sentence():
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                receipts = [future.result() for future in done]
            yield from receipts
    except RelabelError:
        threads.shutdown(cancel_futures=True)
        raise
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
