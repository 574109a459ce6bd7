"""Hands the metrics of a run to whoever takes them, now and then and last of all, as long as units are done."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace

from relabel.job.course import Course
from relabel.job.metrics.of_run import samples_of_run
from relabel.job.progress.heartbeat import Heartbeat
from relabel.job.progress.ticker import Ticker
from relabel.job.progress.units import RunProgress

EVERY_SECONDS = 5.0


@contextmanager
def following(heartbeat: Heartbeat, progress: RunProgress, course: Course, model: str) -> Generator[None]:
    """As long as the block lasts. `model`: as the spec has it. Nothing is done where nobody takes metrics."""
    meter = course.meter
    if meter is None:
        yield
        return

    def write(*, is_whole: bool = False) -> None:
        beat, prompt_tokens = heartbeat.look(is_whole=is_whole), progress.figures["prompt_tokens"]
        seen = replace(course.seen, under_way={}) if is_whole else course.seen
        meter.write(samples_of_run(beat, model, prompt_tokens, progress.engines, seen))

    write()
    is_whole = False
    ticker = Ticker(write, every=EVERY_SECONDS)
    try:
        with ticker:
            yield
        is_whole = True
    finally:
        write(is_whole=is_whole)
