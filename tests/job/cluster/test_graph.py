import os
import time
from pathlib import Path

import pytest
import ray

from relabel.job.cluster.settings import NO_PROGRESS_SECONDS, no_progress_seconds
from relabel.job.cluster.source import Units
from relabel.job.faults.poison_search import MAX_DEATHS


def test_rows_that_hang_are_found_before_ray_gives_the_job_up():
    assert no_progress_seconds(1800.0) > MAX_DEATHS * 1800
    assert no_progress_seconds(0.5) == NO_PROGRESS_SECONDS


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
    (task,) = Units([None], Endless(note)).get_read_tasks(1)
    waiting = ray.remote(max_retries=0)(lambda: list(task())).remote()
    _wait(lambda: note.exists() and note.read_text())
    ray.cancel(waiting)
    _wait(lambda: not Path(f"/proc/{note.read_text()}").exists())


def _wait(condition):
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)
