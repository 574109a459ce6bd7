"""The figures of a report: how a run is, in a word, what each limit says, and what was predicted."""

from relabel.data.runs.heard import say
from relabel.data.store.store import Store
from relabel.job.sample.kept import Between, Forecast, write_forecast
from relabel.report.report import report
from tests.data.runs.beats import beat
from tests.report.outputs import FIELDS, label, reject, write_output

SOURCE = [{"alt": f"a circle, number {row}"} for row in range(8)]
LABELS = [label(f"A circle, number {row}.") for row in range(7)] + [reject("image: truncated")]
BETWEEN = Between(low=1.0, mid=2.0, high=3.0)


def page_of(found, tmp_path):
    found.write(tmp_path / "page.html")
    return (tmp_path / "page.html").read_text()


def test_a_run_that_is_heard_of_is_running_and_one_that_is_not_is_silent(tmp_path):
    url = write_output(tmp_path, SOURCE, LABELS, without={3})
    say(Store(url), beat(period=3600.0))
    assert report(url).state == "running"
    assert "on gpu-1: running" in page_of(report(url), tmp_path)
    say(Store(url), beat(period=0.000001))
    assert report(url).state == "silent"
    assert "on gpu-1: not heard of for" in page_of(report(url), tmp_path)
    say(Store(url), beat(state="stopped"))
    assert report(url).state == "incomplete"


def test_a_limit_that_is_exceeded_is_said_beside_its_figure(tmp_path):
    fields = {**FIELDS, "label": {**FIELDS["label"], "gate": {"max_rejected": 0.1, "max_duplicates": 0.5}}}
    found = report(write_output(tmp_path, SOURCE, LABELS, fields))
    assert found.state == "gate exceeded"
    limits = {one.kind: one for one in found.limits}
    assert (limits["rejected"].value, limits["rejected"].limit, limits["rejected"].is_exceeded) == (1 / 8, 0.1, True)
    assert (limits["duplicates"].value, limits["duplicates"].is_exceeded) == (0, False)
    assert limits["truncated"].limit is None
    assert '<span class="verdict bad">exceeded</span>' in page_of(found, tmp_path)


def test_what_was_predicted_stands_beside_what_all_runs_took(tmp_path):
    """Two runs of 4 rows each, of 16 that were predicted: half of the prediction is held against both together."""
    url = write_output(tmp_path, SOURCE, LABELS)
    store, made = Store(url), report(url)
    assert made.forecast is None
    given = {"version": "1", "rows": 16, "sample": 4, "speed": "measured", "gpu": None, "start_seconds": None}
    given |= {"gpu_hours": BETWEEN, "seconds": BETWEEN, "output_tokens": BETWEEN, "rejected": 4.0}
    write_forecast(store, Forecast(fingerprint=made.run.fingerprint, **given))
    assert report(url).forecast is None, "nothing is done that it could be held against"
    for run in "ab":
        say(store, beat(run, state="ended", rows=4, ok=3, rejected=1, output_tokens=1, seconds=0.5, gpu_hours=0.25))
    found = report(url).forecast
    assert found["rows"] == {"predicted": 16, "actual": 8}
    assert found["gpu_hours"] == {"predicted": {"low": 0.5, "mid": 1.0, "high": 1.5}, "actual": 0.5, "off_by": 1.0}
    assert found["rejected"] == {"predicted": 2.0, "actual": 2}
    assert "+100.0%" in page_of(report(url), tmp_path)
