"""Kill it at any moment, run the same command again: every row is there once. Whole processes, real signals."""

import json
import os
import signal

import pytest
import yaml

from relabel.data.output.verify import verify
from relabel.data.store.store import Store
from tests.faults.processes import PATIENCE, generating_process_of, start, wait_until
from tests.reading import assert_every_row_once

NUM_UNITS, UNIT_ROWS = 12, 16
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
        "sampling": {"max_new_tokens": 192, "temperature": 1.0, "seed": 3},
        "output": {"path": str(tmp_path / "out")},
        "resources": {"gpus_per_actor": 0},
    }
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(fields))
    return tmp_path / "spec.yaml"


def num_parts(spec):
    return len(list((spec.parent / "out").glob("a-*.parquet")))


def assert_exact(spec):
    assert_every_row_once(spec.parent / "out", EXPECTED)
    assert verify(Store(str(spec.parent / "out"))).problems == ()


def kill_after(num_done, spec):
    process = start(spec)
    wait_until(lambda: num_parts(spec) >= num_done, process)
    process.kill()
    process.communicate(timeout=PATIENCE)
    assert process.returncode == -signal.SIGKILL


def kill_the_generating_process_of(driver):
    if found := generating_process_of(driver):
        os.kill(found, signal.SIGKILL)
    return found is not None


def test_whatever_is_killed_the_same_command_goes_on_to_an_exact_end(spec):
    """Plain `write_parquet` left 100, 300 and 700 duplicate rows after three kills of the driver, and exit code 0.

    Every other moment: `tests/faults/test_points.py`, and 200 kills in `tests/chaos/kills.py`.
    """
    kill_after(3, spec)
    last = start(spec)
    wait_until(lambda: kill_the_generating_process_of(last.pid), last)
    stdout, stderr = last.communicate(timeout=PATIENCE)
    assert last.returncode == 0, stderr
    figures = json.loads(stdout.splitlines()[-1])
    assert figures["complete"]
    assert figures["done_now"]["units"] <= NUM_UNITS - 3, "what was published is not done again"
    assert_exact(spec)


def test_two_runs_into_one_output_are_wasteful_and_never_wrong(spec):
    """`ray.data.checkpoint` left 500 and 900 duplicate rows after this, and exit code 0 twice."""
    both = [start(spec), start(spec, "--no-ray")]
    for process in both:
        _, stderr = process.communicate(timeout=2 * PATIENCE)
        assert process.returncode == 0, stderr
    assert_exact(spec)
