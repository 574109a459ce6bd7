"""A whole run in this process: what it makes, what becomes of errors, and that no Ray is needed."""

import json
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from relabel import make_spec, run
from relabel.cli import app
from relabel.data.output.verify import verify
from relabel.data.runs.heard import hear
from relabel.data.store.store import Store
from relabel.errors import DeviceLost, ModelRefused, RunFailed, StoreFailed
from relabel.job.course import Course
from relabel.job.engine import engine_of
from relabel.job.local import InProcess
from relabel.job.prepare import prepare
from tests.disturbed import disturbed
from tests.reading import assert_every_row_once

ALL = {"a.jsonl": 40, "b.jsonl": 40, "c.jsonl": 40}


def test_a_run_without_ray_labels_every_row_once_and_has_the_same_figures(fields, tmp_path):
    report = run(make_spec(fields), execute=InProcess())
    assert report.complete
    assert_every_row_once(tmp_path / "out", ALL)
    assert verify(Store(str(tmp_path / "out"))).problems == ()
    done = report.done_now
    assert (done["units"], done["rows"], done["ok"], done["failed"]) == (12, 120, 120, 0)
    assert done["output_tokens"] > 120
    assert done["goodput"]["num_forwards"] > 0
    assert [way["batching"] for way in done["batching"]] == ["continuous"]
    assert done["waited"].keys() == {"loading", "reading", "publishing", "ending"}
    assert 0 < done["waited"]["loading"] <= sum(done["waited"].values()) <= 1.001
    (said,) = hear(Store(str(tmp_path / "out"))).heard
    assert (sum(said.beat.unit_seconds.values()), sum(said.beat.row_seconds.values())) == (12, 120)
    assert run(make_spec(fields), execute=InProcess()).done_now == {}


NO_RAY = """
import sys
from relabel.cli import app
from relabel.job.local import InProcess
from relabel.job.prepare import prepare
try:
    app(sys.argv[1:])
finally:
    assert not [name for name in sys.modules if name.partition(".")[0] == "ray"]
"""


def test_neither_run_nor_retry_imports_ray(fields, tmp_path):
    fields["label"] |= {
        "parse": "regex",
        "pattern": "[aeiou].*[aeiou]",
        "constrain": False,
        "gate": {"max_rejected": None},
    }
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(fields))
    for arguments in (["run", str(tmp_path / "spec.yaml")], ["retry", fields["output"]["path"]]):
        command = [sys.executable, "-c", NO_RAY, *arguments, "--no-ray", "--set", "resources.gpus_per_actor=0"]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert ended.returncode == 0, ended.stderr
        figures = json.loads(ended.stdout.splitlines()[-1])
        assert figures["complete"]
        assert (figures.get("done_now") or figures)["rows"] > 0


def test_an_engine_that_fails_costs_the_unit(fields):
    def fail():
        raise ValueError("of a row")

    report = run(make_spec(fields), execute=InProcess(load=disturbed(fail, nth=3)))
    assert (report.done_now["units"], report.done_now["failed"]) == (11, 1)
    assert len(report.audit.missing) == 1
    assert run(make_spec(fields), execute=InProcess()).complete


def test_a_device_that_is_lost_ends_the_run_and_the_same_command_goes_on(fields):
    def lose_it():
        raise RuntimeError("CUDA error: device-side assert triggered")

    with pytest.raises(DeviceLost, match="goes on from here"):
        run(make_spec(fields), execute=InProcess(load=disturbed(lose_it, nth=3)))
    report = run(make_spec(fields), execute=InProcess())
    assert report.complete
    assert report.done_now["units"] < 12


def test_a_file_that_cannot_be_read_any_more_costs_its_units(fields, jsonl_source):
    class Spoiling:
        """Loads while the source changes."""

        def __call__(self, spec):
            (jsonl_source / "b.jsonl").write_text('{"id": "only", "alt": "a square"}\n')
            return engine_of(spec)

    report = run(make_spec(fields), execute=InProcess(load=Spoiling()))
    assert (report.done_now["units"], report.done_now["failed"]) == (8, 4)


def test_a_model_that_cannot_be_loaded_is_refused_and_a_store_that_fails_ends_the_run(fields, tmp_path):
    def refuse(spec):
        raise ModelRefused("no such weights")

    with pytest.raises(ModelRefused, match="no such weights"):
        run(make_spec(fields), execute=InProcess(load=refuse))

    def spoil_the_output():
        shutil.rmtree(tmp_path / "out")
        (tmp_path / "out").write_text("no folder any more")

    with pytest.raises(StoreFailed):
        run(make_spec(fields), execute=InProcess(load=disturbed(spoil_the_output)))


def test_an_error_that_nobody_expected_ends_the_run_in_a_sentence_without_the_text_of_a_row(fields):
    def fail(spec):
        raise ZeroDivisionError("a circle")

    with pytest.raises(RunFailed, match="ZeroDivisionError ended the run") as failed:
        run(make_spec(fields), execute=InProcess(load=fail))
    assert "circle" not in str(failed.value)


@pytest.mark.parametrize("max_threads", [1, 2])
def test_units_side_by_side_are_limited(fields, max_threads):
    inside, most = set(), []

    class Counting:
        def __init__(self, spec):
            self._engine = engine_of(spec)

        def __getattr__(self, name):
            return getattr(self._engine, name)

        def generate(self, requests):
            inside.add(id(requests))
            most.append(len(inside))
            results = self._engine.generate(requests)
            inside.discard(id(requests))
            return results

    assert run(make_spec(fields), execute=InProcess(load=Counting, max_threads=max_threads)).complete
    assert max(most) <= max_threads


def test_the_command_ends_with_the_exit_codes_of_any_run(fields, tmp_path):
    spec = tmp_path / "spec.yaml"
    spec.write_text(yaml.safe_dump(fields))
    result = CliRunner().invoke(app, ["run", str(spec), "--no-ray"])
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout.splitlines()[-1])["done_now"]["units"] == 12
    Path(tmp_path / "out/a-00000.parquet").unlink()
    (tmp_path / "data/a.jsonl").write_text("{}\n")
    assert CliRunner().invoke(app, ["run", str(spec), "--no-ray"]).exit_code == 2


def test_ctrl_c_gives_up_what_is_under_way_and_the_same_command_goes_on(fields, tmp_path):
    """In a notebook, where the process lives on: its threads went on to generate and to publish."""
    is_out, before = threading.Event(), set(threading.enumerate())

    def interrupt():
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        assert is_out.wait(60)

    with pytest.raises(KeyboardInterrupt):
        run(make_spec(fields), execute=InProcess(load=disturbed(interrupt, nth=3), max_threads=1))
    is_out.set()
    for thread in set(threading.enumerate()) - before:
        thread.join(60)
        assert not thread.is_alive()
    assert len(list((tmp_path / "out").glob("*.parquet"))) == 2, "the third was generated, and nobody waits for it"
    assert run(make_spec(fields), execute=InProcess()).done_now["units"] == 10


def test_whoever_takes_no_receipt_leaves_nothing_behind(fields, tmp_path):
    spec, before = make_spec(fields), set(threading.enumerate())
    job, plan, _ = prepare(spec, Store(spec.output.path))
    with InProcess()(list(plan.units), job, num_rows=plan.num_rows, course=Course()):
        pass
    for thread in set(threading.enumerate()) - before:
        thread.join(60)
        assert not thread.is_alive(), "the watchdog looks at the engine"
    assert not list((tmp_path / "out").glob("*.parquet"))
