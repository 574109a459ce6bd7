"""Nodes that come and go in the middle of a run: five Rays side by side on this machine, with GPUs by name alone.

Every night alone: the start of each node takes seconds, and that of each of some twenty processes, too.
"""

import json

import pytest
import yaml

from relabel.data.output.verify import verify
from relabel.data.store.store import Store
from tests.faults import moments
from tests.faults.processes import start_script
from tests.reading import assert_every_row_once

NUM_UNITS, UNIT_ROWS = 100, 16
MOST_AT_ACTOR = 6
"""Units that are at one actor, at the most: of units of few rows it has more."""

pytestmark = [
    pytest.mark.fault,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(not moments.ALL, reason="tried every night: minutes on two cores"),
]

RUN = """
import json, os, sys, threading, time
from pathlib import Path

import ray
from ray.cluster_utils import Cluster

import relabel
from relabel.engine.scripted import ScriptedEngine
from relabel.job.cluster.execute import OnRay

sys_argv = list(sys.argv)
spec, then = relabel.load_spec(sys.argv[1]), json.loads(sys.argv[2])
out = Path(spec.output.path)
book = Path(f"{out}-book")
book.mkdir()
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
ray.init(address=cluster.address, log_to_driver=False)


class Slow(ScriptedEngine):
    # it notes on which node it is, and each row that it is asked for
    def __init__(self, spec):
        super().__init__(lambda request: "a circle")
        self._note = book / f"{ray.get_runtime_context().get_node_id()}-{os.getpid()}"
        self._note.touch()

    def generate(self, requests):
        with self._note.open("a") as note:
            note.write("".join(f"{request.id}\\n" for request in requests))
        until = time.monotonic() + 200
        while published() >= 20 and num_nodes() < int(sys_argv[4]) and time.monotonic() < until:
            time.sleep(0.2)  # or all is done before a node is up
        time.sleep(0.1)
        return super().generate(requests)


def num_nodes():
    return len({note.name.partition("-")[0] for note in book.iterdir()})


def add():
    return cluster.add_node(num_cpus=1, num_gpus=2)


def published():
    return len(list(out.glob("a-*.parquet")))


def come_and_go():
    while published() < 10:
        time.sleep(0.05)
    for step in then:
        if step == "remove":
            gone = nodes.pop(0)
            cluster.remove_node(gone, allow_graceful=False)
        else:
            nodes.append(add())
    told["published"] = published()


told = {}
nodes = [add() for _ in range(int(sys.argv[3]))]
reports = []
running = threading.Thread(target=lambda: reports.append(relabel.run(spec, execute=OnRay("auto", load=Slow))))
running.start()
come_and_go()  # a node is added by the main thread alone: it takes SIGTERM for itself
running.join()
(report,) = reports
told["nodes"] = sorted({node["NodeID"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("GPU")})
told["notes"] = {note.name: note.read_text().split() for note in book.iterdir()}
told["units"] = report.done_now["units"]
ray.shutdown()
cluster.shutdown()
assert report.complete, report
print(json.dumps(told))
"""


@pytest.fixture
def elastic(tmp_path, model):
    def run(actors, num_nodes, *then, num_seen):
        rows = [{"alt": f"circle number {row}"} for row in range(NUM_UNITS * UNIT_ROWS)]
        (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        fields = {
            "source": {"path": str(tmp_path / "a.jsonl"), "format": "jsonl", "unit_rows": UNIT_ROWS},
            "prompt": {"user": "{{ alt }}"},
            "model": {"path": str(model)},
            "output": {"path": str(tmp_path / "out")},
            "resources": {"actors": actors, "gpus_per_actor": 1},
        }
        (tmp_path / "spec.yaml").write_text(yaml.safe_dump(fields))
        process = start_script("-c", RUN, str(tmp_path / "spec.yaml"), json.dumps(then), str(num_nodes), str(num_seen))
        stdout, stderr = process.communicate(timeout=900)
        assert process.returncode == 0, stderr
        assert_every_row_once(tmp_path / "out", {"a.jsonl": NUM_UNITS * UNIT_ROWS})
        assert verify(Store(str(tmp_path / "out"))).problems == ()
        told = json.loads(stdout.splitlines()[-1])
        assert told["published"] < NUM_UNITS, "it was over before anybody came or went"
        asked = [row for rows in told["notes"].values() for row in rows]
        return told, len(asked) - len(set(asked))

    return run


def test_a_node_that_leaves_costs_what_is_at_its_actors_and_one_that_joins_gets_work(elastic):
    told, num_again = elastic(8, 4, "remove", "add", num_seen=5)
    assert len(told["notes"]) >= 10, "the two actors of the node that left began anew on the one that came"
    worked = {name.partition("-")[0] for name, rows in told["notes"].items() if rows}
    assert set(told["nodes"]) <= worked
    assert num_again <= 2 * MOST_AT_ACTOR * UNIT_ROWS


def test_actors_grow_with_the_cluster(elastic):
    told, num_again = elastic({"min": 2, "max": 8}, 1, "add", num_seen=2)
    assert 2 < len(told["notes"]) <= 4
    assert set(told["nodes"]) <= {name.partition("-")[0] for name, rows in told["notes"].items() if rows}
    assert num_again == 0


def test_where_a_node_leaves_and_none_comes_the_others_do_its_work(elastic):
    """Ray binds a unit to the actor that it was given to: that one begins anew where another has nothing more to do."""
    _, num_again = elastic(4, 2, "remove", num_seen=2)
    assert num_again <= 2 * MOST_AT_ACTOR * UNIT_ROWS
