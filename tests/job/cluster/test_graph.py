import dataclasses
import os
import time
from pathlib import Path

import pytest
import ray

from relabel.data.sources.unit import SourceFile, Unit
from relabel.job.cluster.settings import NO_PROGRESS_SECONDS, no_progress_seconds
from relabel.job.cluster.source import Units
from relabel.job.faults.poison_search import MAX_DEATHS
from relabel.job.stream.rows import units_of_row
from relabel.job.stream.window import CHUNK

UNIT = Unit(file=SourceFile(path="a", url="/a", size=1, version=""), index=0, first_row=0, num_rows=1)


def test_rows_that_hang_are_found_before_ray_gives_the_job_up():
    assert no_progress_seconds(1800.0) > MAX_DEATHS * 1800
    assert no_progress_seconds(0.5) == NO_PROGRESS_SECONDS


class Open:
    def pass_gate(self, place):
        """Everybody may."""


@pytest.mark.parametrize(("num_units", "together"), [(1, 1), (16 * CHUNK, 16), (16 * CHUNK + 1, 16), (700, 3)])
def test_all_units_are_handed_out_in_handfuls_that_are_blocks(num_units, together):
    units = [dataclasses.replace(UNIT, index=k, first_row=k) for k in range(num_units)]
    source = Units(units, Open(), together=together)
    tasks = source.get_read_tasks(1)
    assert source.num_blocks == CHUNK * len(tasks), "Ray Data cuts each task's rows into so many blocks"
    tables = [table for task in tasks for table in task()]
    assert all(table.num_rows <= CHUNK for table in tables)
    handfuls = [units_of_row(table.slice(k, 1)) for table in tables for k in range(table.num_rows)]
    assert [unit for handful in handfuls for unit in handful] == units
    assert {len(handful) for handful in handfuls[:-1]} <= {together}


class Endless:
    """A gate that never opens; it says in which process somebody waits."""

    def __init__(self, note: Path):
        self._note = note

    def pass_gate(self, place):
        self._note.write_text(str(os.getpid()))
        while True:
            time.sleep(0.1)


@pytest.mark.usefixtures("cluster")
def test_the_process_of_a_source_that_is_cancelled_is_given_to_nobody_else(tmp_path):
    """It may have been importing, and what is imported by half stays so for as long as the process lives."""
    note = tmp_path / "note"
    (task,) = Units([UNIT], Endless(note), together=1).get_read_tasks(1)
    waiting = ray.remote(max_retries=0)(lambda: list(task())).remote()
    _wait(lambda: note.exists() and note.read_text())
    ray.cancel(waiting)
    _wait(lambda: not Path(f"/proc/{note.read_text()}").exists())


def _wait(condition):
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)
