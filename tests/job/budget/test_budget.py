"""Whole runs under a budget: where they end, what they say, and that the same command goes on."""

import json
import math

import pytest
import yaml
from typer.testing import CliRunner

from relabel.cli import app
from relabel.errors import SpecError
from relabel.job.retry import retry
from tests.job.budget.paid import HOURS_A_WORD, NUM_ROWS, beats_of, execute, run
from tests.reading import assert_every_row_once

ALL = {"a.jsonl": 40, "b.jsonl": 40, "c.jsonl": 40}


@pytest.fixture(scope="module")
def whole_hours(tmp_path_factory, text_model):
    """What the run of all rows takes."""
    from tests.conftest import small_spec, write_source

    folder = tmp_path_factory.mktemp("whole")
    write_source(folder / "data")
    return run(small_spec(folder, text_model)).done_now["output_tokens"] * HOURS_A_WORD


@pytest.mark.parametrize("price", [None, 2.5])
def test_half_of_the_hours_are_spent_within_five_percent_and_the_same_command_goes_on(
    fields, tmp_path, whole_hours, price
):
    half = whole_hours / 2
    limit = {"gpu_hours": half} if price is None else {"dollars": half * price, "price": price}
    report = run(fields, **limit)
    told = report.to_json()["budget"]
    assert not report.complete
    assert abs(told["spent"]["gpu_hours"] / half - 1) < 0.05
    assert told["reached"] == ("gpu_hours" if price is None else "dollars")
    assert told["left"]["rows"] == NUM_ROWS - report.audit.rows
    assert abs(told["left"]["gpu_hours"] / (whole_hours - told["spent"]["gpu_hours"]) - 1) < 0.2
    if price:
        assert math.isclose(told["left"]["dollars"], told["left"]["gpu_hours"] * price, rel_tol=1e-4)
    assert report.done_now["failed"] == 0, "what is begun is finished"
    assert beats_of(tmp_path / "out")[-1]["state"] == "stopped"

    again = run(fields, **limit)
    assert again.done_now == {}, "it ends at once"
    assert again.to_json()["budget"]["spent"]["gpu_hours"] == told["spent"]["gpu_hours"]
    assert again.to_json()["budget"]["left"] | {"seconds": None} == told["left"] | {"seconds": None}

    rest = run(fields, **{name: value if name == "price" else 3 * value for name, value in limit.items()})
    assert rest.complete
    assert "budget" not in rest.to_json()
    assert rest.done_now["rows"] == NUM_ROWS - report.audit.rows
    assert_every_row_once(tmp_path / "out", ALL)


def test_no_unit_begins_for_which_too_little_is_left(fields, whole_hours):
    """By the rate of the run before: no model is loaded for it."""
    first = run(fields, unit_rows=10, rows=60)
    spent = first.to_json()["budget"]["spent"]["gpu_hours"]
    report = run(fields, unit_rows=10, gpu_hours=spent * 1.01, execute=None)
    assert report.done_now == {}
    assert report.to_json()["budget"]["reached"] == "gpu_hours"


def test_a_budget_of_rows_is_what_the_output_may_hold_in_whole_units(fields, tmp_path, caplog):
    report = run(fields, unit_rows=10, rows=45)
    assert (report.audit.rows, report.to_json()["budget"]["left"]["rows"]) == (40, 80)
    assert run(fields, unit_rows=10, rows=49).done_now == {}
    assert run(fields, unit_rows=10, rows=50).done_now["rows"] == 10
    assert "stopped by resources.budget.rows (50): " in caplog.text
    assert "70 rows in 7 units are left, they take about " in caplog.text
    assert run(fields, unit_rows=10, rows=120).complete
    assert_every_row_once(tmp_path / "out", ALL)


def test_a_moment_that_is_over_lets_nothing_begin_and_one_that_is_far_changes_nothing(fields):
    report = run(fields, unit_rows=10, until="2026-01-01T06:00:00+01:00", execute=None)
    assert (report.done_now, report.to_json()["budget"]["reached"]) == ({}, "until")
    assert report.to_json()["budget"]["left"]["gpu_hours"] is None, "nobody knows what a row takes"
    assert run(fields, unit_rows=10, until="2999-01-01T00:00:00Z").complete


def test_what_a_killed_run_has_spent_counts(fields, tmp_path, whole_hours):
    """It said so last, and may have gone on for as long as until its next word."""
    run(fields, rows=30)
    (path,) = (tmp_path / "out/_runs").glob("*.json")
    beat = json.loads(path.read_text())
    assert (beat["state"], beat["engines"]["up"], beat["reached"]) == ("stopped", 1, "rows")
    path.write_text(json.dumps({**beat, "state": "running", "reached": None, "period": 3600.0}))
    report = run(fields, gpu_hours=beat["gpu_hours"] + 0.9, execute=None)
    assert report.done_now == {}
    assert report.to_json()["budget"]["spent"]["gpu_hours"] == pytest.approx(beat["gpu_hours"] + 1)


def test_the_command_ends_with_code_1_and_says_what_is_left_and_what_that_costs(fields, tmp_path, caplog):
    spec = tmp_path / "spec.yaml"
    spec.write_text(yaml.safe_dump(fields))
    arguments = ["run", str(spec), "--no-ray", "--set", "resources.budget={rows: 45}"]
    for sets in ([], ["--set", "resources.price.gpu_hour=2.5"]):
        result = CliRunner().invoke(app, [*arguments, *sets])
        assert result.exit_code == 1
        left = json.loads(result.stdout.splitlines()[-1])["budget"]["left"]
        assert (left["rows"], left["units"]) == (80, 8)
        assert left["gpu_hours"] > 0
        said = caplog.messages[-1]
        assert said.startswith("stopped by resources.budget.rows (45): ")
        assert "80 rows in 8 units are left, they take about " in said
        assert said.endswith("raise it, and the same command goes on")
        assert ("$" in said) == bool(sets)
    assert CliRunner().invoke(app, ["run", str(spec), "--no-ray"]).exit_code == 0


def test_a_retry_is_held_to_a_budget_too(done, tmp_path):
    out, settings = str(tmp_path / "out"), ["resources.gpus_per_actor=0", "label.retry_temperatures=[0.9]"]
    with pytest.raises(SpecError, match="a retry adds no rows"):
        retry(out, (), [*settings, "resources.budget.rows=5"], execute=execute)
    report = retry(out, (), [*settings, "resources.budget.until=2026-01-01T00:00:00Z"], execute=execute)
    assert not report.complete
    assert report.to_json()["budget"]["reached"] == "until"
    assert report.to_json()["budget"]["left"]["rows"] == report.audit.rejected
