"""The commands as a person or a scheduler meets them: exit codes, one line of JSON on stdout, sentences on stderr."""

import json
import os
import pty
import subprocess
import sys

import pytest
import yaml

from relabel.cli import app
from tests.invoking import figures_of, invoke
from tests.reading import assert_every_row_once


@pytest.fixture
def spec(fields, tmp_path):
    path = tmp_path / "spec.yaml"
    path.write_text(yaml.safe_dump(fields))
    return path


def test_the_commands_are_these():
    assert {command.name or command.callback.__name__ for command in app.registered_commands} == {
        "init",
        "run",
        "preview",
        "plan",
        "status",
        "verify",
        "bench",
        "demo",
        "report",
        "export",
        "push",
        "retry",
        "schema",
    }


def test_plan_counts_and_writes_nothing(spec, tmp_path):
    result = invoke("plan", spec)
    assert result.exit_code == 0
    assert figures_of(result) == {
        "files": 3,
        "units": 12,
        "rows": 120,
        "unit_rows": 10,
        "units_done": 0,
        "unreadable": [],
        "passed_over": {},
        "notes": [],
        "gone_files": 0,
        "dropped_files": 0,
        "first_rows": {"rows": 63, "rejected": 0, "reasons": {}},
        "problem": None,
    }
    assert not (tmp_path / "out").exists()


def test_preview_shows_the_rendered_prompts_and_their_token_counts(spec):
    result = invoke("preview", spec, "-n", "2")
    assert result.exit_code == 0
    assert figures_of(result) == {"rows": 2, "rejected": 0, "reasons": {}, "problem": None}
    assert "<|turn|>user: Rewrite: a a circle, number 1<|end|>" in result.stderr


def test_preview_writes_a_page_in_place_of_lines(spec, tmp_path):
    result = invoke("preview", spec, "-n", "2", "--html", tmp_path / "page.html")
    assert result.exit_code == 0
    assert figures_of(result)["page"]["rows"] == 2
    assert "a circle, number 1" in (tmp_path / "page.html").read_text()
    assert "a circle" not in result.stderr


def test_preview_with_generate_shows_labels_too(spec):
    result = invoke("preview", spec, "-n", "2", "--generate")
    assert result.exit_code == 0
    assert "caption" in result.stderr
    assert "finish_reason" in result.stderr


def test_preview_of_several_labels_counts_the_rows_that_one_of_them_rejects(fields, tmp_path, jsonl_source):
    """It ended in a KeyError: each label has token counts of its own."""
    (jsonl_source / "a.jsonl").write_text('{"id": "a", "alt": "a circle"}\n{"id": "b", "alt": null}\n')
    del fields["label"]
    fields["labels"] = [{"name": "caption"}, {"name": "kind", "user": "Which?"}]
    spec = tmp_path / "spec.yaml"
    spec.write_text(yaml.safe_dump(fields))
    result = invoke("preview", spec, "-n", "2")
    assert (figures_of(result)["rows"], figures_of(result)["rejected"]) == (2, 1)
    assert figures_of(result)["problem"].startswith("1 of the first 2 rows are rejected, 1 of them because of prompt: ")
    assert "kind_prompt_tokens" in result.stderr


def test_preview_with_generate_counts_the_texts_that_hold_no_label(fields, tmp_path):
    fields["label"] = {"parse": "regex", "pattern": "impossible", "constrain": False}
    spec = tmp_path / "spec.yaml"
    spec.write_text(yaml.safe_dump(fields))
    assert figures_of(invoke("preview", spec, "-n", "2"))["rejected"] == 0
    assert figures_of(invoke("preview", spec, "-n", "2", "--generate"))["rejected"] == 2


def test_an_override_that_breaks_the_spec_is_refused_in_a_sentence(spec):
    result = invoke("plan", spec, "--set", "sampling.temprature=1")
    assert result.exit_code == 2
    assert "did you mean temperature" in result.stderr
    assert "Traceback" not in result.stderr


def test_debug_shows_where_an_error_came_from(spec):
    result = invoke("--debug", "plan", spec, "--set", "sampling.temprature=1")
    assert result.exit_code != 0
    assert type(result.exception).__name__ == "SpecError"


def test_on_a_terminal_an_error_names_the_page_that_says_more(tmp_path):
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", "from relabel.cli import main; main()", "plan", "nothing.yaml"]
    ended = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=theirs, cwd=tmp_path)
    assert ended.returncode == 2
    assert b"See docs/reference/spec.md" in os.read(ours, 10_000)


def test_init_drafts_a_spec_whose_prompts_can_be_looked_at(spec, tmp_path):
    drafted = tmp_path / "drafted.yaml"
    folder, model = (yaml.safe_load(spec.read_text())[section]["path"] for section in ("source", "model"))
    result = invoke("init", folder, "-o", drafted, "--model", model)
    assert (result.exit_code, figures_of(result)["format"]) == (0, "jsonl")
    assert f"relabel preview {drafted}" in result.stderr
    assert figures_of(invoke("preview", drafted, "-n", 3)) == {"rows": 3, "rejected": 0, "reasons": {}, "problem": None}


def test_a_path_that_matches_nothing_is_refused(spec, tmp_path):
    result = invoke("run", spec, "--set", f"source.path={tmp_path}/nothing/*.jsonl")
    assert result.exit_code == 2
    assert "matches no jsonl file" in result.stderr


def test_status_of_a_folder_that_is_no_run_is_refused(tmp_path):
    result = invoke("status", tmp_path)
    assert result.exit_code == 2


def test_schema_is_json():
    assert json.loads(invoke("schema").stdout)["title"] == "Spec"


def test_run_status_and_verify_agree_and_a_missing_part_is_named(spec, tmp_path):
    ran = invoke("run", spec, "--no-ray")
    assert ran.exit_code == 0
    assert figures_of(ran)["done_now"]["rows"] == 120
    assert_every_row_once(tmp_path / "out", {f"{name}.jsonl": 40 for name in "abc"})
    status, verified = invoke("status", tmp_path / "out"), invoke("verify", tmp_path / "out")
    assert (status.exit_code, figures_of(status)["published"], figures_of(status)["success"]) == (0, 12, True)
    assert (verified.exit_code, figures_of(verified)["rows"]) == (0, 120)
    (tmp_path / "out/b-00001.parquet").unlink()
    verified = invoke("verify", tmp_path / "out")
    assert verified.exit_code == 1
    assert "b-00001.parquet" in verified.stderr


def test_report_writes_a_page_and_with_json_the_figures_alone(first_run, tmp_path, monkeypatch):
    monkeypatch.chdir(first_run[0])
    page = tmp_path / "page.html"
    result = invoke("report", "out", "-o", page, "-n", "5")
    assert result.exit_code == 0
    assert figures_of(result)["page"] == {"file": str(page), "bytes": page.stat().st_size, "rows": 5, "no_room": 0}
    alone = figures_of(invoke("report", "out", "--json", "-n", "5"))
    assert alone == {key: value for key, value in figures_of(result).items() if key != "page"} | {
        "runs": alone["runs"]  # whose words grow older
    }
    assert alone["state"] == "complete"
