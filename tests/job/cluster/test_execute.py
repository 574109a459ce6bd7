"""Runs on a small Ray: the same labels as in this process, and what is Ray's alone."""

import os
import shutil
import time
from pathlib import Path

import pytest

from relabel import make_spec, run
from relabel.data.output.verify import verify
from relabel.data.store.store import Store
from relabel.engine.scripted import ScriptedEngine
from relabel.errors import ModelRefused, StoreFailed
from relabel.job.cluster.connect import LOCAL
from relabel.job.cluster.execute import OnRay
from relabel.job.local import InProcess
from relabel.job.retry import retry
from relabel.job.stages import read
from tests.reading import assert_every_row_once, rows_of

pytestmark = pytest.mark.usefixtures("cluster")
ALL = {"a.jsonl": 40, "b.jsonl": 40, "c.jsonl": 40}


def test_a_run_on_ray_goes_on_where_one_in_this_process_stopped_with_the_same_labels(finished, tmp_path):
    before, spec = rows_of(tmp_path / "out"), finished
    done = {"a-00001.parquet", "c-00003.parquet"}
    for part in tmp_path.glob("out/[abc]-*.parquet"):
        if part.name not in done:
            part.unlink()
    report = run(spec)
    assert report.complete
    assert (report.done_now["units"], report.done_now["rows"], report.done_now["failed"]) == (10, 100, 0)
    assert report.done_now["goodput"]["num_forwards"] > 0
    assert assert_every_row_once(tmp_path / "out", ALL) == before
    assert verify(Store("out")).problems == ()
    assert run(spec).done_now == {}


def test_a_retry_on_ray_asks_the_rejected_rows(fields, tmp_path):
    label = {"parse": "regex", "pattern": "[aeiou].*[aeiou]", "column": "caption", "constrain": False}
    fields["label"] = {**label, "gate": {"max_rejected": None}}
    assert run(make_spec(fields), execute=InProcess()).complete
    before = rows_of(tmp_path / "out")
    num_asked = sum(row["status"] == "rejected" for row in before)
    report = retry(str(tmp_path / "out"), overrides=["resources.gpus_per_actor=0"])
    assert report.complete
    assert report.figures["rows"] == num_asked
    after = assert_every_row_once(tmp_path / "out", ALL)
    assert sum(row["status"] == "rejected" for row in after) == report.figures["rejected"] < num_asked


class Signing(ScriptedEngine):
    """An engine that leaves its process id beside the output, and that of a reader in its own process too."""

    def __init__(self, spec):
        super().__init__(lambda request: "a circle")
        self._book = Path(f"{spec.output.path}-workers")
        self._book.mkdir(exist_ok=True)
        (self._book / f"actor-{os.getpid()}").touch()

    def generate(self, requests):
        if read._kept_encoder.cache_info().currsize:
            (self._book / f"reader-{os.getpid()}").touch()
        started = time.monotonic()
        while len(list(self._book.glob("actor-*"))) < 2 and time.monotonic() < started + 60:
            time.sleep(0.1)  # or one actor has done all before the other is up
        return super().generate(requests)


def test_two_actors_are_started_and_neither_reads_or_decodes(fields, tmp_path):
    """Ray puts reading into the actors' processes, in front of the GPU, when the two ask for the same resources."""
    spec = make_spec({**fields, "resources": {"actors": 2, "gpus_per_actor": 0.5}})
    assert run(spec, execute=OnRay(LOCAL, load=Signing)).complete, "with a GPU a block goes to an actor as a whole, too"
    names = [path.name for path in (tmp_path / "out-workers").iterdir()]
    assert len(names) == 2
    assert all(name.startswith("actor-") for name in names)


def refuse(spec):
    raise ModelRefused("no such weights")  # in the process of an actor


def test_an_error_of_our_own_comes_out_of_an_actor_as_itself(fields):
    with pytest.raises(ModelRefused, match="no such weights"):
        run(make_spec(fields), execute=OnRay(LOCAL, load=refuse))


def spoil_the_output(spec):
    shutil.rmtree(spec.output.path)
    Path(spec.output.path).write_text("no folder any more")


class Spoiling(ScriptedEngine):
    """An engine in the middle of which the output is lost."""

    def __init__(self, spec):
        super().__init__(lambda request: "a circle")
        self._spec = spec

    def generate(self, requests):
        if Path(self._spec.output.path).is_dir():
            spoil_the_output(self._spec)
        return super().generate(requests)


def test_a_store_that_fails_ends_the_run_and_says_so(fields):
    with pytest.raises(StoreFailed, match=r"cannot (read|write)"):
        run(make_spec(fields), execute=OnRay(LOCAL, load=Spoiling))
