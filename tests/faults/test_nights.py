"""A nightly run that is killed at each moment of writing, alone and beside another one, over a folder that has changed.

Of its files one is gone, one was touched, one has another row in its middle, one has more rows, one is new.
"""

import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from relabel.data.output.verify import verify
from relabel.data.store.failpoints import Failpoint, listening
from relabel.data.store.store import Store
from relabel.engine import Result
from relabel.engine.scripted import ScriptedEngine
from relabel.job.local import InProcess
from relabel.job.run import run
from tests.faults.job import Child, hear_nothing, spec_of, write_source
from tests.faults.moments import some_of

pytestmark = pytest.mark.fault
BEFORE = {"gone": 4, "touched": 7, "changed": 7, "longer": 4}
AFTER = BEFORE | {"longer": 7, "new": 2}
ASKED = {("changed", row) for row in (3, 4, 5)} | {("longer", row) for row in (3, 4, 5, 6)} | {("new", 0), ("new", 1)}
"""The rows of the units that read otherwise, and of those that are new."""


@pytest.fixture(params=["local", "s3"])
def output(request, tmp_path):
    return str(tmp_path / "out") if request.param == "local" else request.getfixturevalue("s3_url")


def night(output, source, on_failpoint=hear_nothing, said="tonight"):
    engine = ScriptedEngine(lambda request: Result(id=0, text=said, token_ids=[80], num_tokens=1, finish_reason="stop"))
    execute = InProcess(load=lambda _: engine, max_threads=1)
    with listening(on_failpoint):
        return run(spec_of(output, source), execute=execute, redo_changed=True).audit


def a_day_later(output, source):
    write_source(source, **BEFORE)
    night(output, source, said="before")
    write_source(source, **{name: size for name, size in AFTER.items() if name != "gone"})
    (source / "gone.jsonl").unlink()
    os.utime(source / "touched.jsonl", (1_000_000_000, 1_000_000_000))
    lines = (source / "changed.jsonl").read_text().splitlines(keepends=True)
    (source / "changed.jsonl").write_text("".join([*lines[:4], lines[4].replace("text", "other text"), *lines[5:]]))


def killed(output, source, last):
    left = last

    def on_failpoint(point, name):
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    night(output, source, on_failpoint)


def assert_whole(output):
    """Every row once, and asked again where it reads otherwise, nowhere else."""
    store = Store(output)
    assert verify(store).problems == ()
    assert store.read_json("_SUCCESS") is not None
    rows = [row for part in store.parts() for row in store.read(part).rows.to_pylist()]
    found = {(row["source_file"].removesuffix(".jsonl"), row["source_row"]): row["caption"] for row in rows}
    assert len(found) == len(rows)
    assert found == {
        (name, row): "tonight" if (name, row) in ASKED else "before"
        for name, size in AFTER.items()
        for row in range(size)
    }


def test_a_night_asks_what_reads_otherwise(output, tmp_path):
    a_day_later(output, tmp_path / "source")
    report = night(output, tmp_path / "source")
    assert (report.complete, report.gone_files, report.gone_rows) == (True, 1, 4)
    assert_whole(output)


@pytest.mark.parametrize(("company", "every"), [("alone", 4), ("beside another", 6)])
def test_killed_at_any_moment_and_run_again(output, tmp_path, company, every):
    moments = []
    a_day_later(f"{output}/undisturbed", tmp_path / "undisturbed")
    night(f"{output}/undisturbed", tmp_path / "undisturbed", lambda point, name: moments.append((point, name)))
    parts = {name for point, name in moments if point == Failpoint.DONE and name.endswith(".parquet")}
    assert len(parts) == 10, "all but those of the file that is gone"

    def kill_at(moment):
        place, source = f"{output}/{moment}", tmp_path / str(moment)
        a_day_later(place, source)
        victim = Child(killed, place, source, moment)
        if company == "beside another":
            assert Child(night, place, source).exitcode() == 0
        exitcode = victim.exitcode()
        assert night(place, source).complete
        assert_whole(place)
        return exitcode

    with ThreadPoolExecutor(3) as threads:
        ended = list(threads.map(kill_at, some_of(len(moments), every=every, first=1 + ("://" in output))))
    assert -signal.SIGKILL in ended
    if company == "alone":
        assert set(ended) == {-signal.SIGKILL}
