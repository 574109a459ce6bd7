"""Commands of one process, without Ray: stopped in the middle, and two at once on one output."""

import json
import os
import signal

import pytest
import yaml

from relabel.data.output.verify import verify
from relabel.data.store.store import Store
from tests.faults import moments
from tests.faults.processes import PATIENCE, start, wait_until
from tests.reading import assert_every_row_once

pytestmark = pytest.mark.fault
ALL = {"a.jsonl": 40, "b.jsonl": 40, "c.jsonl": 40}
NUM_UNITS = 24


@pytest.fixture
def spec(fields, tmp_path):
    fields["source"]["unit_rows"] = 5
    fields["sampling"] |= {"min_new_tokens": 192, "max_new_tokens": 192}
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(fields))
    return tmp_path / "spec.yaml"


def num_parts(folder):
    return len(list(folder.glob("out/*.parquet")))


def figures_of(process):
    """Of a run that ends as it should."""
    stdout, stderr = process.communicate(timeout=2 * PATIENCE)
    assert process.returncode == 0, stderr
    return json.loads(stdout.splitlines()[-1])


def assert_exact(folder):
    assert_every_row_once(folder / "out", ALL)
    assert verify(Store(str(folder / "out"))).problems == ()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_job_that_is_stopped_says_what_it_has_done_and_the_same_command_goes_on(spec, tmp_path, number):
    process = start(spec, "--no-ray")
    wait_until(lambda: num_parts(tmp_path) >= 3, process)
    os.kill(process.pid, number)
    stdout, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1, stderr
    assert stderr.splitlines()[-1] == "stopped; the same command goes on from here"
    figures = json.loads(stdout.splitlines()[-1])
    assert (figures["complete"], figures["stopped"], figures["done_now"]["failed"]) == (False, True, 0)
    assert 1 <= figures["done_now"]["units"] <= num_parts(tmp_path) < NUM_UNITS
    assert figures_of(start(spec, "--no-ray"))["complete"]
    assert_exact(tmp_path)


def test_two_runs_into_one_output_are_wasteful_and_never_wrong(spec, tmp_path):
    """`ray.data.checkpoint` left 500 and 900 duplicate rows after this, and exit code 0 twice.

    Every night one of the two is on Ray.
    """
    both = [start(spec, "--no-ray"), start(spec, *(() if moments.ALL else ("--no-ray",)))]
    assert all(figures_of(process)["complete"] for process in both)
    assert_exact(tmp_path)
