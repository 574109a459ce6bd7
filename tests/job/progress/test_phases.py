"""What a log says before the first unit, and while nothing ends."""

import logging
import threading

import pytest

from relabel.job.progress.phases import Phases
from relabel.job.progress.ticker import Ticker
from relabel.job.progress.units import RunProgress

PATIENCE = 30


@pytest.fixture
def lines(caplog):
    """The lines of the log so far."""
    with caplog.at_level(logging.INFO, "relabel"):
        yield lambda: [record.getMessage() for record in caplog.records]


def wait_for(lines, beginning):
    there = threading.Event()
    for _ in range(PATIENCE * 100):
        if any(line.startswith(beginning) for line in lines()):
            return
        there.wait(0.01)
    raise AssertionError(lines())


def test_each_phase_is_a_line_at_once_and_planning_says_how_many_files_there_are(lines):
    with Phases() as phases:
        phases.begin("looking at the model")
        for done in range(1, 1201):
            phases.plan(done, 40_000)
    assert lines() == ["looking at the model", "planning 40,000 files"]


def test_a_phase_that_lasts_is_said_again_with_how_far_it_has_come(lines):
    with Phases(every=0.01) as phases:
        for done in range(1, 1201):
            phases.plan(done, 40_000)
        wait_for(lines, "planning 1,200 of 40,000 files, since ")
    said = len(lines())
    Ticker(lambda: None).__exit__()  # one that never ran ends, too
    assert len(lines()) == said, "nothing is said after it"


def test_a_log_says_that_the_first_unit_is_waited_for(lines):
    with RunProgress(num_units=4, num_rows=40, every=0.01):
        wait_for(lines, "0 of 40 rows, waiting for the first unit")
