"""A plan with a sample: what it says of a run, what is kept of that, and the run that is held against it."""

import json

import pytest

from relabel import make_spec, run
from relabel.engine import ScriptedEngine
from relabel.errors import SpecError
from relabel.job.local import InProcess
from relabel.job.plan import plan
from relabel.job.sample.kept import FORECAST
from relabel.job.sample.predict import Ask


def spec_of(fields, **resources):
    return make_spec({**fields, "resources": fields["resources"] | resources})


def test_without_a_speed_it_says_what_it_knows_and_how_to_know_more(fields, tmp_path):
    found = plan(make_spec(fields), Ask(rows=32))
    assert (found["rows"], found["rows_left"], found["sample"]) == (120, 120, 32)
    lengths = found["prompt_tokens"]
    assert 10 < lengths["p50"] <= lengths["p95"] <= lengths["p99"] <= lengths["max"]
    assert lengths["total"] == pytest.approx(lengths["mean"] * 120, rel=0.01)
    assert found["rejects"] == {"rows": 0, "share": 0.0, "reasons": {}}
    assert found["output_tokens"]["from"] == "most"
    assert found["output_tokens"]["total"]["mid"] == 8 * 120
    assert found["gpu_hours"] == found["seconds"] == {"low": None, "mid": None, "high": None}
    assert (found["fits"], found["rows_at_once"], found["dollars"]) == (None, None, None)
    assert any("--measure" in remark for remark in found["remarks"])
    assert {path.name for path in (tmp_path / "out").iterdir()} == {FORECAST, "_staging"}


def test_what_is_measured_is_kept_and_the_run_is_held_against_it(fields, tmp_path):
    spec = spec_of(fields, price={"gpu_hour": 2.5})
    found = plan(spec, Ask(rows=60, measure=True))
    assert found["speed"] == "measured"
    assert found["output_tokens"]["from"] == "sample"
    assert found["fits"] is True
    hours = found["gpu_hours"]
    assert 0 < hours["low"] <= hours["mid"] <= hours["high"]
    assert found["dollars"]["mid"] == pytest.approx(2.5 * hours["mid"], rel=1e-3)
    assert found["output_bytes"] > 1000
    kept = (tmp_path / "out" / FORECAST).read_text()
    assert "circle" not in kept
    assert json.loads(kept)["rows"] == 120
    report = run(spec, execute=InProcess())
    assert report.complete
    compared = report.to_json()["forecast"]
    assert compared["speed"] == "measured"
    assert compared["rows"] == {"predicted": 120, "actual": 120}
    assert compared["rejected"] == {"predicted": 0.0, "actual": 0}
    assert compared["output_tokens"]["actual"] == report.done_now["output_tokens"]
    assert abs(compared["output_tokens"]["off_by"]) < 0.15
    assert compared["gpu_hours"]["actual"] > 0


def test_a_whole_sample_has_the_tokens_of_the_run_and_no_doubt_of_them(fields):
    spec = make_spec(fields)
    assert spec.sampling.temperature == 1, "texts are drawn, by the seeds that they have in the run"
    found = plan(spec, Ask(rows=500, measure=True))
    report = run(spec, execute=InProcess())
    total = found["output_tokens"]["total"]
    assert total["low"] == total["mid"] == total["high"] == report.done_now["output_tokens"]


def test_bad_rows_are_counted_by_reason_and_not_quoted(fields, tmp_path):
    lines = (tmp_path / "data/b.jsonl").read_text().splitlines()
    lines[1::2] = ["not json, secret"] * 20
    (tmp_path / "data/b.jsonl").write_text("\n".join(lines) + "\n")
    found = plan(make_spec(fields), Ask(rows=120))
    assert found["rejects"]["rows"] == 20
    assert found["rejects"]["reasons"]["source"]["rows"] == 20
    assert found["rejects"]["reasons"]["source"]["example"].startswith("source: ")
    assert "secret" not in json.dumps(found)
    assert found["output_tokens"]["total"]["mid"] == 8 * 100


def test_the_same_seed_draws_the_same_rows_and_another_one_others(fields):
    spec = make_spec(fields)
    first, again, other = (plan(spec, Ask(rows=1, seed=seed)) for seed in (1, 1, 2))
    assert first == again
    assert first["rows_read"] != other["rows_read"], "up to the last row of each unit"


def test_a_card_says_whether_the_model_fits_and_gives_an_estimate(fields):
    found = plan(spec_of(fields, gpus_per_actor=1), Ask(rows=20, gpu="l4-24gb"))
    assert (found["fits"], found["speed"], found["gpu"]) == (True, "roofline", "l4-24gb")
    assert found["gpu_hours"]["mid"] > 0
    assert any("not measured" in remark for remark in found["remarks"])
    small = plan(spec_of(fields, gpus_per_actor=0.02), Ask(rows=20, gpu="l4-24gb"))
    assert (small["fits"], small["speed"], small["gpu_hours"]["mid"]) == (False, None, None)
    with pytest.raises(SpecError, match="h100-80gb"):
        plan(spec_of(fields, gpus_per_actor=1), Ask(rows=20, gpu="abacus"))


def test_the_line_of_an_earlier_run_is_a_rate(finished, tmp_path):
    before = json.loads(
        json.dumps(run(finished.model_copy(update=_out(finished, "before")), execute=InProcess()).to_json())
    )
    file = tmp_path / "before.json"
    file.write_text(json.dumps(before))
    found = plan(finished.model_copy(update=_out(finished, "after")), Ask(rows=120, rate=file))
    assert (found["speed"], found["output_tokens"]["from"]) == ("rate", "rate")
    assert found["output_tokens"]["total"]["mid"] == pytest.approx(before["done_now"]["output_tokens"], rel=0.07)
    assert found["seconds"]["mid"] == pytest.approx(before["done_now"]["goodput"]["seconds"], rel=0.2)


def test_a_source_of_which_no_row_can_be_labelled_costs_nothing(fields, tmp_path):
    for path in (tmp_path / "data").iterdir():
        path.write_text("no json\n" * 40)
    fields["label"]["gate"] = {"max_rejected": None}
    fields["output"]["keep"] = []
    (tmp_path / "data/a.jsonl").write_text('{"id": "a", "alt": null}\n' + "no json\n" * 39)
    file = tmp_path / "before.json"
    goodput = {"useful_tokens": 90, "output_tokens": 30, "prefill_seconds": 1, "decode_seconds": 1, "seconds": 2}
    file.write_text(json.dumps({"done_now": {"rows": 10, "output_tokens": 30, "goodput": goodput}}))
    found = plan(make_spec(fields), Ask(rows=60, rate=file, seed=3))
    assert found["rejects"]["share"] > 0.9
    assert found["seconds"]["mid"] < 1


def _out(spec, name):
    return {"output": spec.output.model_copy(update={"path": name})}


def test_what_is_labelled_costs_nothing_any_more(finished, tmp_path):
    assert plan(finished, Ask(rows=20))["rows_left"] == 0
    (tmp_path / "out/b-00002.parquet").unlink()
    found = plan(finished, Ask(rows=120, measure=True))
    assert found["rows_left"] == 10
    report = run(finished, execute=InProcess())
    assert report.to_json()["forecast"]["rows"] == {"predicted": 10, "actual": 10}


def test_a_prediction_of_another_recipe_says_nothing(fields):
    plan(make_spec(fields), Ask(rows=20))
    fields["sampling"]["max_new_tokens"] = 5
    assert "forecast" not in run(make_spec(fields), execute=InProcess()).to_json()


def test_a_prediction_that_is_damaged_ends_no_run(fields, tmp_path):
    spec = make_spec(fields)
    plan(spec, Ask(rows=20))
    (tmp_path / "out" / FORECAST).write_text("{")
    assert "forecast" not in run(spec, execute=InProcess()).to_json()


def test_of_an_engine_whose_steps_nobody_knows_every_token_costs_the_same(fields):
    found = plan(
        make_spec(fields), Ask(rows=40, measure=True, load=lambda spec: ScriptedEngine(lambda request: "a text"))
    )
    assert found["speed"] == "measured"
    assert any("less full" in remark for remark in found["remarks"])
    assert found["gpu_hours"]["mid"] > 0
