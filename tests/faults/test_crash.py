"""Stop or kill it at any moment, run the same command again: every row is there once. Whole processes, real signals."""

import json
import os
import signal
import time

import pytest
import yaml

from relabel.data.output.verify import verify
from relabel.data.store.store import Store
from tests.faults import moments
from tests.faults.processes import (
    PATIENCE,
    command_line,
    descendants,
    generating_process_of,
    start,
    wait_until,
)
from tests.reading import assert_every_row_once

NUM_UNITS, UNIT_ROWS, NUM_TOKENS = 30, 5, 448
"""Long texts: there must be something left to generate when the publisher, slow to start, has its first parts."""
EXPECTED = {"a.jsonl": NUM_UNITS * UNIT_ROWS}

pytestmark = [pytest.mark.fault, pytest.mark.timeout(600)]


@pytest.fixture
def spec(tmp_path, model):
    rows = [{"alt": f"circle number {row}"} for row in range(NUM_UNITS * UNIT_ROWS)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    fields = {
        "source": {"path": str(tmp_path / "a.jsonl"), "format": "jsonl", "unit_rows": UNIT_ROWS},
        "prompt": {"user": "{{ alt }}"},
        "model": {"path": str(model), "dtype": "float32"},
        "sampling": {"min_new_tokens": NUM_TOKENS, "max_new_tokens": NUM_TOKENS, "temperature": 1.0, "seed": 3},
        "output": {"path": str(tmp_path / "out")},
        "resources": {"gpus_per_actor": 0},
    }
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(fields))
    return tmp_path / "spec.yaml"


def parts_of(spec):
    return {path.name: path.stat().st_ino for path in (spec.parent / "out").glob("a-*.parquet")}


def started_and_sent(number, spec):
    """A run that gets a signal in the middle: the process, what ran below it, and what was published before."""
    before = parts_of(spec)
    process = start(spec)
    wait_until(lambda: len(parts_of(spec)) >= len(before) + 2, process)
    below = descendants(process.pid)
    os.kill(process.pid, number)
    return process, below, before


def stop(number, spec):
    process, below, before = started_and_sent(number, spec)
    figures = assert_stopped(process)
    assert figures["done_now"]["units"] <= len(parts_of(spec)) - len(before), "what it has heard of"
    assert not (spec.parent / "out/_SUCCESS").exists()
    assert_workers_end(below)


def kill(spec):
    process, _, _ = started_and_sent(signal.SIGKILL, spec)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == -signal.SIGKILL


def kill_the_generating_process_of(driver):
    if found := generating_process_of(driver):
        os.kill(found, signal.SIGKILL)
    return found is not None


def test_whatever_is_stopped_or_killed_the_same_command_goes_on_to_an_exact_end(spec):
    """Plain `write_parquet` left 100, 300 and 700 duplicate rows after three kills of the driver, and exit code 0.

    Ray took SIGTERM for exit code 15. Every other moment: `tests/faults/test_points.py`, 200 kills in
    `tests/chaos/kills.py`; how soon a run stops: `tests/chaos/stops.py`.
    """
    stop(signal.SIGTERM, spec)
    kill(spec)
    before = parts_of(spec)
    assert 4 <= len(before) < NUM_UNITS
    # with more actors than cores, for which Ray alone would wait for ever
    last = start(spec, "--set", "resources.actors=3")
    wait_until(lambda: kill_the_generating_process_of(last.pid), last)
    stdout, stderr = last.communicate(timeout=2 * PATIENCE)
    assert last.returncode == 0, stderr
    figures = json.loads(stdout.splitlines()[-1])
    assert figures["complete"]
    assert figures["done_now"]["units"] == NUM_UNITS - len(before)
    assert parts_of(spec).items() >= before.items(), "what was published is not made again"
    assert_every_row_once(spec.parent / "out", EXPECTED)
    assert verify(Store(str(spec.parent / "out"))).problems == ()


@pytest.mark.skipif(not moments.ALL, reason="every night: `.ci/nightly`")
def test_sigterm_while_ray_starts_and_sigint_in_the_middle_end_the_job(spec):
    process = start(spec)
    wait_until(lambda: any("raylet/raylet" in command_line(pid) for pid in descendants(process.pid)), process)
    below = descendants(process.pid)
    process.terminate()
    assert_stopped(process)
    assert_workers_end(below)
    stop(signal.SIGINT, spec)


def assert_stopped(process):
    stdout, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1, stderr
    assert stderr.splitlines()[-1] == "stopped; the same command goes on from here"
    assert "Traceback" not in stderr
    figures = json.loads(stdout.splitlines()[-1])  # Ray itself may print before it
    assert (figures["complete"], figures["stopped"]) == (False, True)
    return figures


def assert_workers_end(pids):
    """What Ray calls agents looks only now and then whether it is still needed."""
    deadline = time.monotonic() + PATIENCE
    while left := [title for title in map(command_line, pids) if title.startswith("ray::") and "Agent" not in title]:
        assert time.monotonic() < deadline, left
        time.sleep(0.02)
