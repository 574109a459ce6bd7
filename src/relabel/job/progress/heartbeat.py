"""A run's own word of how far it is, written into its output now and then, for `relabel status` from any machine.

A word that cannot be written is passed over, and that is said once: no run ends for it.
"""

from __future__ import annotations

import logging
import os
import socket
import time
import uuid
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace

from relabel.data.runs.beat import PERIOD_SECONDS, Beat, Engines, Limit, State, shortened
from relabel.data.runs.heard import Hearing, Runs, say
from relabel.data.store.store import Store
from relabel.errors import Refused, RelabelError, StoreFailed
from relabel.job.course import Course
from relabel.job.forecast.hours import gpu_hours
from relabel.job.job import Job
from relabel.job.progress.ticker import Ticker
from relabel.job.progress.units import RunProgress
from relabel.version import __version__

log = logging.getLogger("relabel")


class Heartbeat:
    """Says how far a run is, as long as the block lasts, and last of all how it ended."""

    def __init__(
        self,
        job: Job,
        course: Course,
        *,
        num_units: int,
        num_rows: int,
        budget: Mapping[Limit, float | str] = {},
        others: Callable[[Runs], object] | None = None,
        every: float = PERIOD_SECONDS,
    ) -> None:
        """`budget` as the spec has it; `others` is told what the other runs into the output say, where somebody must
        know; `every`: seconds between two words."""
        now, resources = time.time(), job.spec.resources
        self._beat = Beat(
            run=f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(now))}-{uuid.uuid4().hex[:8]}",
            command="retry" if job.retry else "run",
            version=__version__,
            host=socket.gethostname(),
            pid=os.getpid(),
            started=now,
            said=now,
            period=every,
            state="starting",
            budget=budget,
            num_units=num_units,
            num_rows=num_rows,
            engines=Engines(
                name=job.spec.model.engine, planned=min(resources.most_actors, num_units), gpus=resources.gpus_per_actor
            ),
            price=resources.price.gpu_hour,
        )
        self._course, self._progress, self._has_failed = course, None, False
        self._others, self._hearing = others, None
        self._ticker, self._store, self._url = Ticker(self._say, every=every), None, job.output

    def __enter__(self) -> Heartbeat:
        self._say()
        self._ticker.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if not self._beat.is_over:
            self._end_by(error)

    @property
    def run(self) -> str:
        """The name of the run, by which its word is found in the output."""
        return self._beat.run

    def look(self, *, is_whole: bool = False) -> Beat:
        """How far the run is, without a word to anybody. `is_whole`: no unit is under way any more."""
        return self._beat if self._beat.is_over else self._now("running", is_whole)

    @contextmanager
    def watching(self, progress: RunProgress) -> Generator[None]:
        """Units are done as long as the block lasts: these figures are said.

        How that ends is said at once: what is around the block may take longer to end than a stopped run has.
        """
        self._progress = progress
        try:
            yield
        except BaseException as error:
            self._end_by(error)
            raise

    def end(
        self, state: State, why: str | None = None, reached: Limit | None = None, *, is_whole: bool = False
    ) -> None:
        """Say how the run ended, and nothing after that. `is_whole`: no unit was under way any more."""
        self._ticker.__exit__()
        self._beat = replace(self._now(state, is_whole), why=why and shortened(why), reached=reached)
        self._write()

    def _end_by(self, error: BaseException | None) -> None:
        if error is None:
            self.end("ended", is_whole=True)
        elif not isinstance(error, Exception):  # KeyboardInterrupt
            self.end("stopped", "it was told to stop")
        else:  # the text of another error may quote a row
            self.end("failed", str(error) if isinstance(error, RelabelError) else type(error).__name__)

    def _say(self) -> None:
        self._beat = self._now("running" if self._course.num_engines else "starting")
        self._write()
        self._hear_others()

    def _now(self, state: State, is_whole: bool = False) -> Beat:
        said, before, progress = time.time(), self._beat, self._progress
        if progress is None:
            return replace(before, said=said, state=state, seconds=max(0.0, said - before.started))
        engines, figures, rates = progress.engines, progress.figures, progress.rates()
        engines.are_up(self._course.num_engines, time.monotonic())
        worked = engines.goodput.seconds if is_whole else engines.seconds(time.monotonic())
        return replace(
            before,
            said=said,
            state=state,
            units=figures["units"],
            rows=figures["rows"],
            ok=figures["ok"],
            rejected=figures["rejected"],
            failed=figures["failed"],
            output_tokens=figures["output_tokens"],
            reasons=dict(progress.reasons),
            seconds=round(max(0.0, said - before.started), 1),
            rows_per_second=rates and round(rates[0], 3),
            tokens_per_second=rates and round(rates[1], 1),
            seconds_left=rates and round(max(0, before.num_rows - figures["rows"]) / rates[0], 1),
            engines=replace(
                before.engines,
                up=engines.num_up,
                batching=tuple(str(way["batching"]) for way in engines.batching),
            ),
            gpu_hours=gpu_hours(worked, before.engines.gpus),
            unit_seconds=dict(progress.unit_seconds),
            row_seconds=dict(progress.row_seconds),
            errors=tuple(shortened(error) for error in list(progress.errors)),
        )

    def _hear_others(self) -> None:
        if self._others is None or self._store is None:
            return
        self._hearing = self._hearing or Hearing(self._store)
        with suppress(StoreFailed):  # the next time, perhaps
            runs = self._hearing()
            self._others(replace(runs, heard=[one for one in runs.heard if one.beat.run != self._beat.run]))

    def _write(self) -> None:
        try:
            if self._store is None:
                self._store = Store(self._url, on_failpoint=_unheard)
            say(self._store, self._beat)
        except (StoreFailed, Refused) as error:
            if not self._has_failed:
                log.warning("how far the run is cannot be written down, so that no status knows: %s", error)
            self._has_failed = True


def _unheard(*_: object) -> None:
    """No step of a run: it may fail at any of its points."""
