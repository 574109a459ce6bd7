"""What operators, schedulers and machines do to a run besides killing it: nothing is lost, nothing is done twice."""

import json
import os
import time

import pytest
import ray
import yaml

from relabel import make_spec, run
from relabel.data.output.verify import verify
from relabel.data.store.store import Store
from relabel.engine.scripted import ScriptedEngine
from relabel.job.cluster.connect import LOCAL
from relabel.job.cluster.execute import OnRay
from relabel.job.local import InProcess
from tests.faults import moments
from tests.faults.processes import PATIENCE, start_script
from tests.reading import assert_every_row_once, rows_of

pytestmark = [pytest.mark.fault, pytest.mark.timeout(600)]
ALL = {"a.jsonl": 40, "b.jsonl": 40, "c.jsonl": 40}


@pytest.fixture
def fields(fields):
    fields["source"]["unit_rows"] = 5
    return fields


@pytest.fixture
def spec(fields, tmp_path):
    fields["sampling"] |= {"min_new_tokens": 192, "max_new_tokens": 192}
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(fields))
    return tmp_path / "spec.yaml"


def parts_of(folder):
    return {path.name: path.stat().st_ino for path in folder.glob("out/*.parquet")}


def assert_exact(folder):
    assert_every_row_once(folder / "out", ALL)
    assert verify(Store(str(folder / "out"))).problems == ()


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


@pytest.mark.usefixtures("cluster")
def test_blocks_that_exceed_the_object_store_in_sum(fields, tmp_path):
    """120 MB of a column that is kept, through an object store of 80 MB."""
    assert ray.cluster_resources()["object_store_memory"] <= 80 * 2**20
    for name in "abc":
        rows = [{"id": f"{name}{row}", "alt": "a circle", "wide": f"{row} " * 2**18} for row in range(40)]
        (tmp_path / f"data/{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    fields["output"]["keep"] = ["id", "wide"]
    assert run(make_spec(fields), execute=OnRay(LOCAL, load=scripted)).complete
    assert_exact(tmp_path)


def scripted(spec):
    return ScriptedEngine(lambda request: "a circle")


LOST_NODE = """
import os, sys, threading, time

import ray
from ray.cluster_utils import Cluster

import relabel
from tests.faults import moments
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


@pytest.mark.skipif(not moments.ALL, reason="tried every night: three nodes are some thirty processes")
def test_the_node_that_generates_is_lost_in_the_middle(spec, tmp_path):
    """Of three nodes, the driver's among them; the output is on a disk that all of them share."""
    process = start_script("-c", LOST_NODE, str(spec))
    _, stderr = process.communicate(timeout=2 * PATIENCE)
    assert process.returncode == 0, stderr
    assert_exact(tmp_path)
