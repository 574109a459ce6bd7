"""Processes killed by a real kill -9 around the commit to a table: one commit, all rows, however often."""

import os
import signal
from contextlib import contextmanager

import duckdb
import pytest

from relabel.data.store.failpoints import Failpoint, listening
from relabel.data.store.store import Store
from relabel.data.tables.commit import COMMIT
from relabel.job.retry import retry
from relabel.job.run import run
from relabel.spec import Gate
from tests.data.tables.place import FORMATS, Place, take
from tests.faults.job import Child, execute, hear_nothing, spec_of, write_source
from tests.faults.moments import some_of

pytestmark = pytest.mark.fault
SIZES = {"a": 5, "b": 4}
ROWS = [(f"{name}.jsonl", row) for name, size in SIZES.items() for row in range(size)]


@pytest.fixture(params=FORMATS)
def place(request, tmp_path, monkeypatch):
    return Place(request.param, tmp_path, monkeypatch)


@pytest.fixture
def source(tmp_path):
    write_source(tmp_path / "source", **SIZES)
    return tmp_path / "source"


def to_the_end(output, source, section, on_failpoint=hear_nothing, execute=execute):
    spec = spec_of(output, source)
    label = spec.label.model_copy(update={"gate": Gate(max_rejected=None)})
    spec = spec.model_copy(update={"label": label, "output": spec.output.model_copy(update={"table": section})})
    with listening(on_failpoint):
        return run(spec, execute=execute)


def die_at(*moment):
    """Kill this process at a failpoint with its name, or at that of a number."""
    passed = []

    def on_failpoint(*now):
        passed.append(now)
        if moment in (now, (len(passed),)):
            os.kill(os.getpid(), signal.SIGKILL)

    return on_failpoint


def run_and_die(environment, output, source, section, *moment):
    take(environment)
    to_the_end(output, source, section, die_at(*moment))


def retry_and_die(environment, output, *moment):
    take(environment)
    with listening(die_at(*moment)):
        retry(output, execute=execute)


BEFORE, AFTER, MARKING = (Failpoint.SENDING, COMMIT), (Failpoint.DONE, COMMIT), (Failpoint.SENDING, "_SUCCESS")


@pytest.mark.parametrize("moments", [(BEFORE, BEFORE), (AFTER, MARKING), (MARKING, MARKING), (BEFORE, AFTER, MARKING)])
def test_killed_again_and_again_around_the_commit_there_is_one_with_all_rows(place, source, tmp_path, moments):
    """What was committed is seen by the next run, which only writes `_SUCCESS`; before it nothing is there."""
    output = str(tmp_path / "out")
    for moment in moments:
        killed = Child(run_and_die, place.environment, output, source, place.section, *moment)
        assert killed.exitcode() == -signal.SIGKILL
        assert Store(output).version("_SUCCESS") is None
    assert to_the_end(output, source, place.section).complete
    assert Store(output).version("_SUCCESS")
    assert (place.rows_by_place(), place.num_commits) == (ROWS, 1)
    rows = place.rows()  # noqa: F841  by DuckDB
    assert duckdb.sql("select count(*), count(distinct (source_file, source_row)) from rows").fetchall() == [(9, 9)]


def test_a_retry_commits_its_rows_once_also_where_it_is_killed(place, source, tmp_path):
    """It knows the table from the output."""
    output = str(tmp_path / "out")
    to_the_end(output, source, place.section)
    assert place.rows()["status"].to_pylist().count("rejected") == 2
    killed = Child(retry_and_die, place.environment, output, Failpoint.DONE, COMMIT)
    assert killed.exitcode() == -signal.SIGKILL
    assert retry(output, execute=execute).complete
    assert (place.rows_by_place(), place.num_commits) == (ROWS, 2)
    assert set(place.rows()["status"].to_pylist()) == {"ok"}


def test_a_run_commits_to_its_table_while_another_one_has_none(place, source, tmp_path):
    """The other one begins and ends between the last part of the first and its commit."""
    output = str(tmp_path / "out")

    @contextmanager
    def execute_while_another_runs(units, job, **how):
        with execute(units, job, **how) as receipts:
            yield receipts
        assert to_the_end(output, source, None).complete

    assert to_the_end(output, source, place.section, execute=execute_while_another_runs).complete
    assert (place.rows_by_place(), place.num_commits) == (ROWS, 1)


def test_killed_at_any_moment_of_a_run_the_same_command_leaves_one_commit(place, source, tmp_path, monkeypatch):
    passed = []
    to_the_end(str(tmp_path / "undisturbed"), source, place.section, lambda *moment: passed.append(moment))
    for number in some_of(len(passed), every=18, first=9):
        output, mine = str(tmp_path / f"out{number}"), Place(place.format, tmp_path / str(number), monkeypatch)
        killed = Child(run_and_die, mine.environment, output, source, mine.section, number)
        assert killed.exitcode() == -signal.SIGKILL
        assert to_the_end(output, source, mine.section).complete
        assert (mine.rows_by_place(), mine.num_commits) == (ROWS, 1)
