"""A process that is killed at each named point of writing, of a real kill -9; then the same command again.

Alone and with a second process that does the whole job at the same time; on a disk and in an object store.
"""

import os
import signal
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from relabel.data.points import Point
from relabel.data.store import Store
from relabel.data.verify import verify
from tests.faults.job import Job, write_source

pytestmark = pytest.mark.fault
REPOSITORY = Path(__file__).parents[2]
SIZES = {"a": 5, "b": 2}
ON_DISKS_ALONE = {Point.STAGED, Point.SYNCED, Point.NAMED}
PARTS = ["a-00000.parquet", "a-00001.parquet", "b-00000.parquet"]

PROCESS = """
import os, signal, sys
from pathlib import Path
from tests.faults.job import Job
output, source, moment = sys.argv[1:]
left = int(moment)
def reached(point, name):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
Job(output, Path(source), reached).to_the_end(retry=True)
assert not {"torch", "transformers", "ray"} & sys.modules.keys()
"""


@pytest.fixture(params=["local", "s3"])
def output(request, tmp_path):
    return str(tmp_path / "out") if request.param == "local" else request.getfixturevalue("s3_url")


def half_done(output, source):
    """An output that gives a run something of everything to do: a plan to add to, a part to delete and make again."""
    write_source(source, a=SIZES["a"])
    Job(output, source).to_the_end()
    store = Store(output)
    store.delete(PARTS[0])
    store.put_json(PARTS[1], "torn")
    write_source(source, b=SIZES["b"])


def passed(output, source):
    """Every moment of an undisturbed run, in order."""
    seen = []
    Job(output, source, lambda point, name: seen.append((point, kind(name)))).to_the_end(retry=True)
    return seen


def kind(name):
    return "part" if name.endswith(".parquet") else name


def start(output, source, moment):
    path = os.pathsep.join([*map(str, (REPOSITORY / "src", REPOSITORY)), os.environ.get("PYTHONPATH", "")])
    call = [sys.executable, "-c", PROCESS, output, str(source), str(moment)]
    return subprocess.Popen(call, env=os.environ | {"PYTHONPATH": path}, stderr=subprocess.PIPE, text=True)


def assert_exact(output, source):
    """The same command again ends, and then everything is there once and nothing else."""
    assert Job(output, source).to_the_end(retry=True).complete
    store = Store(output)
    assert list(store.names()) == PARTS
    assert verify(store).problems == ()
    rows = [row for part in PARTS for row in store.read(part).rows.to_pylist()]
    expected = [(f"{name}.jsonl", row) for name, num_rows in SIZES.items() for row in range(num_rows)]
    assert [(row["source_file"], row["source_row"]) for row in rows] == expected
    assert {row["status"] for row in rows} == {"ok"}
    assert store.read_json("_SUCCESS") is not None


@pytest.mark.parametrize("company", ["alone", "beside another run"])
@pytest.mark.parametrize("begins", ["new", "half done"])
def test_killed_at_any_point_the_same_command_ends_exactly(output, tmp_path, begins, company):
    def prepare(name):
        place, source = f"{output}/{name}", tmp_path / "sources" / name
        if begins == "new":
            write_source(source, **SIZES)
        else:
            half_done(place, source)
        return place, source

    moments = passed(*prepare("undisturbed"))
    assert {point for point, _ in moments} == set(Point) - (ON_DISKS_ALONE if "://" in output else set())
    kinds = Counter(name for _, name in moments)
    assert kinds.keys() == {"part", "_SUCCESS", "_run.json" if begins == "new" else "_plan-00001.json"}

    def kill_at(moment):
        place = prepare(str(moment))
        killed = start(*place, moment)
        other = start(*place, 0) if company != "alone" else None
        for process in filter(None, (killed, other)):
            _, stderr = process.communicate()
            assert process.returncode in (0, -signal.SIGKILL), stderr
        if other is not None:
            assert other.returncode == 0
        assert_exact(*place)
        return killed.returncode == -signal.SIGKILL

    with ThreadPoolExecutor(2) as threads:
        were_killed = list(threads.map(kill_at, range(1, len(moments) + 1)))
    # beside another run there may be less to write, so that its last points are never reached
    assert all(were_killed) if company == "alone" else sum(were_killed) > len(moments) // 4
