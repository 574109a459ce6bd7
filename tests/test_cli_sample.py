"""`relabel plan --sample` as a person meets it: a table on stderr, one line of JSON on stdout, and refusals."""

import pytest
import yaml

from tests.invoking import figures_of, invoke


@pytest.fixture
def spec(fields, tmp_path):
    path = tmp_path / "spec.yaml"
    path.write_text(yaml.safe_dump(fields))
    return path


def test_the_line_has_the_plan_and_what_it_costs(spec):
    result = invoke("plan", spec, "--sample", 64, "--measure", "--set", "resources.price.gpu_hour=2.5")
    assert result.exit_code == 0, result.output
    found = figures_of(result)
    assert (found["rows"], found["units"], found["sample"]) == (120, 12, 64)
    assert {"mean", "p50", "p95", "p99", "max"} <= set(found["prompt_tokens"])
    assert {"low", "mid", "high"} == set(found["gpu_hours"]) == set(found["dollars"])
    assert found["rows_at_once"] == 120
    assert {"rejects", "output_tokens", "fits", "store_requests", "output_bytes"} <= set(found)
    for word in ("prompt tokens", "GPU hours", "measured here", "dollars", "up to"):
        assert word in result.stderr


def test_a_table_is_shown_where_nothing_is_known_of_the_speed_too(spec):
    result = invoke("plan", spec, "--sample", 8)
    assert result.exit_code == 0, result.output
    assert "--measure" in result.stderr


@pytest.mark.parametrize("option", [["--measure"], ["--gpu", "l4-24gb"], ["--rate", "x.json"]], ids=lambda one: one[0])
def test_what_goes_with_a_sample_is_refused_without_one(spec, option):
    result = invoke("plan", spec, *option)
    assert result.exit_code == 2
    assert "--sample" in result.stderr


def test_a_card_that_nobody_knows_is_refused_with_those_that_are(spec):
    result = invoke("plan", spec, "--sample", 8, "--gpu", "h100")
    assert result.exit_code == 2
    assert "h100-80gb" in result.stderr
