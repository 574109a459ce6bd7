"""What a run writes of itself into its output while it is at work, and how it ended."""

import json

import pyarrow as pa
import pytest

import relabel
from relabel import make_spec
from relabel.data.output.verify import verify
from relabel.data.runs.heard import say
from relabel.data.store.store import Store
from relabel.errors import RunFailed
from relabel.job.course import Course
from relabel.job.job import Job
from relabel.job.local import InProcess
from relabel.job.progress.heartbeat import Heartbeat
from tests.data.runs.beats import beat
from tests.disturbed import disturbed
from tests.job.budget.paid import beats_of, execute, paid


def test_a_run_says_how_far_it_is_while_it_is_at_work_and_how_it_ended(fields, tmp_path):
    seen = []

    def look():
        seen.extend(beats_of(tmp_path / "out"))

    fields["resources"] |= {"price": {"gpu_hour": 2.5}, "budget": {"rows": 500}}
    report = relabel.run(make_spec(fields), execute=InProcess(load=disturbed(look, 5, load=paid), max_threads=1))
    assert report.complete
    assert (seen[0]["state"], seen[0]["num_rows"], seen[0]["rows"]) == ("starting", 120, 0)
    (beat,) = beats_of(tmp_path / "out")
    assert beat["run"] == seen[0]["run"]
    assert (beat["state"], beat["why"], beat["command"]) == ("ended", None, "run")
    assert (beat["rows"], beat["ok"], beat["failed"], beat["errors"]) == (120, 120, 0, [])
    assert beat["engines"] == {"name": "relabel", "up": 1, "planned": 1, "gpus": 0.0, "batching": ["scripted"]}
    assert beat["gpu_hours"] == pytest.approx(report.done_now["goodput"]["seconds"] / 3600)
    assert (beat["price"], beat["budget"]) == (2.5, {"rows": 500})
    assert beat["seconds_left"] == 0
    assert verify(Store(str(tmp_path / "out"))).problems == ()
    assert relabel.run(make_spec(fields), execute=execute).done_now == {}
    assert len(beats_of(tmp_path / "out")) == 1, "one that has nothing to do says nothing"


def test_units_that_fail_are_named_and_rows_that_are_rejected_counted(fields, jsonl_source, tmp_path):
    (jsonl_source / "d.jsonl").write_text('{"id": "zqxrowcanary", "alt": null}\nnot json zqxrowcanary\n')

    def fail():
        raise ValueError("zqxrowcanary")

    relabel.run(make_spec(fields), execute=InProcess(load=disturbed(fail, 3, load=paid)))
    (beat,) = beats_of(tmp_path / "out")
    assert (beat["failed"], beat["rejected"], beat["reasons"]) == (1, 2, {"prompt": 1, "source": 1})
    assert ["generating failed with ValueError" in error for error in beat["errors"]] == [True]
    assert "zqxrowcanary" not in json.dumps(beat)


@pytest.mark.parametrize(
    ("error", "state", "why"),
    [(RunFailed("Ray ended it"), "failed", "Ray ended it"), (KeyboardInterrupt(), "stopped", "it was told to stop")],
)
def test_a_run_that_fails_or_is_stopped_says_so(fields, tmp_path, error, state, why):
    def run_until_then(units, job, **how):
        return Ending(InProcess(load=paid)(units, job, **how), error)

    with pytest.raises(type(error)):
        relabel.run(make_spec(fields), execute=run_until_then)
    (beat,) = beats_of(tmp_path / "out")
    assert (beat["state"], beat["why"], beat["units"]) == (state, why, 1)


class Ending:
    """Work that ends after its first unit."""

    def __init__(self, work, error):
        self._work, self._error = work, error

    def __enter__(self):
        receipts = self._work.__enter__()

        def first():
            yield next(receipts)
            raise self._error

        return first()

    def __exit__(self, *error):
        return self._work.__exit__(*error)


def test_a_run_whose_word_cannot_be_written_goes_on_and_says_so_once(fields, tmp_path, caplog):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/_runs").write_text("in the way")
    assert relabel.run(make_spec(fields), execute=execute).complete
    assert sum("cannot be written down" in line for line in caplog.messages) == 1


def test_whoever_must_know_hears_of_the_other_runs_into_the_output(fields, tmp_path):
    job, heard = Job(fingerprint="x", spec=make_spec(fields), kept=pa.schema([])), []
    say(Store(job.output), beat("another"))
    with Heartbeat(job, Course(), num_units=1, num_rows=1, others=heard.append):
        assert [one.beat.run for one in heard[0].heard] == ["another"]
    assert len(beats_of(tmp_path / "out")) == 2
