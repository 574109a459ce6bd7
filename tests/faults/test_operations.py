"""What operators, schedulers and machines do to a run besides killing it: nothing is lost, nothing is done twice."""

import json
import os
import signal
import time

import pytest
import yaml

from relabel import run
from relabel.data.output.verify import verify
from relabel.data.store.store import Store
from relabel.job.local import InProcess
from tests.faults.processes import PATIENCE, command_line, descendants, start, start_script, wait_until
from tests.reading import assert_every_row_once, rows_of

pytestmark = [pytest.mark.fault, pytest.mark.timeout(600)]
ALL = {"a.jsonl": 40, "b.jsonl": 40, "c.jsonl": 40}
NUM_UNITS = 24


@pytest.fixture
def fields(fields):
    fields["source"]["unit_rows"] = 5
    fields["sampling"]["max_new_tokens"] = 192
    return fields


def write_spec(fields, folder, num_tokens):
    """Texts of so many tokens each."""
    fields["sampling"] |= {"min_new_tokens": num_tokens, "max_new_tokens": num_tokens}
    (folder / "spec.yaml").write_text(yaml.safe_dump(fields))
    return folder / "spec.yaml"


@pytest.fixture
def spec(fields, tmp_path):
    return write_spec(fields, tmp_path, num_tokens=192)


@pytest.fixture
def long_spec(fields, tmp_path):
    """There must be something left to generate when the publisher, slow to start, has its first parts."""
    return write_spec(fields, tmp_path, num_tokens=448)


@pytest.fixture
def sigint_is_heard():
    """A shell that runs the tests in the background makes them ignore SIGINT, and with them all that they start."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def parts_of(folder):
    return {path.name: path.stat().st_ino for path in folder.glob("out/*.parquet")}


def figures_of(process):
    """Of a run that ends as it should."""
    stdout, stderr = process.communicate(timeout=2 * PATIENCE)
    assert process.returncode == 0, stderr
    return json.loads(stdout.splitlines()[-1])


def assert_exact(folder):
    assert_every_row_once(folder / "out", ALL)
    assert verify(Store(str(folder / "out"))).problems == ()


@pytest.mark.usefixtures("sigint_is_heard")
def test_sigterm_while_ray_starts_and_sigint_in_the_middle_end_the_job_and_it_goes_on(long_spec, tmp_path):
    """Ray took SIGTERM for exit code 15. How soon: `tests/chaos/stops.py`."""

    def ray_starts():
        return any("raylet/raylet" in command_line(pid) for pid in descendants(process.pid))

    for moment, number in ((ray_starts, signal.SIGTERM), (lambda: len(parts_of(tmp_path)) >= 2, signal.SIGINT)):
        process = start(long_spec)
        wait_until(moment, process)
        below = descendants(process.pid)
        os.kill(process.pid, number)
        stdout, stderr = process.communicate(timeout=PATIENCE)
        assert process.returncode == 1, stderr
        assert stderr.splitlines()[-1] == "stopped; the same command goes on from here"
        assert "Traceback" not in stderr
        figures = json.loads(stdout.splitlines()[-1])  # Ray itself may print before it
        assert (figures["complete"], figures["stopped"]) == (False, True)
        assert figures["done_now"]["units"] <= len(parts_of(tmp_path))
        assert not (tmp_path / "out/_SUCCESS").exists()
        assert_workers_end(below)

    before = parts_of(tmp_path)
    assert 2 <= len(before) < NUM_UNITS
    # with more actors than cores, for which Ray alone would wait for ever
    goes_on = start(long_spec, "--set", "resources.actors=3")
    assert figures_of(goes_on)["done_now"]["units"] == NUM_UNITS - len(before)
    assert parts_of(tmp_path).items() >= before.items(), "what was published is not made again"
    assert_exact(tmp_path)


@pytest.mark.usefixtures("sigint_is_heard")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_job_in_one_process_that_is_stopped_says_what_it_has_done(spec, tmp_path, number):
    process = start(spec, "--no-ray")
    wait_until(lambda: len(parts_of(tmp_path)) >= 3, process)
    os.kill(process.pid, number)
    stdout, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1, stderr
    assert stderr.splitlines()[-1] == "stopped; the same command goes on from here"
    figures = json.loads(stdout.splitlines()[-1])
    assert (figures["complete"], figures["stopped"], figures["done_now"]["failed"]) == (False, True, 0)
    assert 1 <= figures["done_now"]["units"] <= len(parts_of(tmp_path)) < NUM_UNITS
    assert figures_of(start(spec, "--no-ray"))["complete"]
    assert_exact(tmp_path)


def assert_workers_end(pids):
    """What Ray calls agents looks only now and then whether it is still needed."""
    deadline = time.monotonic() + PATIENCE
    while left := [title for title in map(command_line, pids) if title.startswith("ray::") and "Agent" not in title]:
        assert time.monotonic() < deadline, left
        time.sleep(0.02)


def test_a_clock_that_was_set_back_between_two_runs(finished, tmp_path):
    """The output comes from the future, then from the past: neither decides what is done."""
    before = rows_of(tmp_path / "out")
    for days, lost in ((2, "b-00002.parquet"), (-2, "c-00001.parquet")):
        (tmp_path / "out" / lost).unlink()
        kept = parts_of(tmp_path)
        moment = time.time() + days * 86400
        for path in (tmp_path / "out").rglob("*"):
            os.utime(path, (moment, moment))
        report = run(finished, execute=InProcess())
        assert report.complete
        assert report.done_now["units"] == 1
        assert parts_of(tmp_path).items() >= kept.items()
    assert rows_of(tmp_path / "out") == before
    assert_exact(tmp_path)


SMALL_STORE = """
import sys

import ray

import relabel

ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=80 * 2**20)
report = relabel.run(relabel.load_spec(sys.argv[1]))
assert report.complete, report
"""


def test_blocks_that_exceed_the_object_store_in_sum(fields, tmp_path):
    """120 MB of a column that is kept, through an object store of 80 MB."""
    for name in "abc":
        rows = [{"id": f"{name}{row}", "alt": "a circle", "wide": f"{row} " * 2**18} for row in range(40)]
        (tmp_path / f"data/{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    fields["output"]["keep"] = ["id", "wide"]
    fields["sampling"]["max_new_tokens"] = 8
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(fields))
    process = start_script("-c", SMALL_STORE, str(tmp_path / "spec.yaml"))
    _, stderr = process.communicate(timeout=2 * PATIENCE)
    assert process.returncode == 0, stderr
    assert_exact(tmp_path)


LOST_NODE = """
import os, sys, threading, time

import ray
from ray.cluster_utils import Cluster

import relabel
from tests.faults.processes import generating_process_of, parent_of

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
ray.init(address=cluster.address, log_to_driver=False)
nodes = {}
for _ in range(2):
    node = cluster.add_node(num_cpus=2)
    nodes[node.all_processes["raylet"][0].process.pid] = node
spec = relabel.load_spec(sys.argv[1])
removed = []


def remove_the_node_that_generates():
    while not (found := generating_process_of(os.getpid())):
        time.sleep(0.02)
    removed.append(nodes[parent_of(found)])
    cluster.remove_node(removed[0], allow_graceful=False)


threading.Thread(target=remove_the_node_that_generates, daemon=True).start()
report = relabel.run(spec)
ray.shutdown()
cluster.shutdown()
assert removed, "the run ended before the node was gone"
assert report.complete, report
"""


def test_the_node_that_generates_is_lost_in_the_middle(spec, tmp_path):
    """Of three nodes, the driver's among them; the output is on a disk that all of them share."""
    process = start_script("-c", LOST_NODE, str(spec))
    _, stderr = process.communicate(timeout=2 * PATIENCE)
    assert process.returncode == 0, stderr
    assert_exact(tmp_path)
