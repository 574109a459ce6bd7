"""A spec that fits no row: refused before it starts, stopped soon after, and never a success."""

import json

import pytest
import yaml
from typer.testing import CliRunner

from relabel import make_spec, run
from relabel.cli import app
from relabel.data.store.store import Store
from relabel.errors import Refused
from relabel.job.local import InProcess

NO_WORD = {"parse": "regex", "pattern": "[0-9]{9}", "constrain": False, "column": "caption"}
SENTENCE = "of the first 64 rows are rejected, 64 of them because of prompt: "


def write(folder, **columns):
    """Three files of 640 rows with these columns beside `id`."""
    for name in "abc":
        rows = [{"id": f"{name}{at}", **columns} for at in range(640)]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def last_line(result):
    return json.loads(result.stdout.splitlines()[-1])


def test_rows_that_have_no_prompt_are_told_of_before_anything_starts(fields, jsonl_source, tmp_path):
    write(jsonl_source, alt=None)
    spec = tmp_path / "spec.yaml"
    spec.write_text(yaml.safe_dump({**fields, "source": {**fields["source"], "unit_rows": 64}}))
    planned = CliRunner().invoke(app, ["plan", str(spec)])
    assert last_line(planned)["first_rows"] == {"rows": 63, "rejected": 63, "reasons": {"prompt": 63}}
    assert "63 of the first 63 rows are rejected, 63 of them because of prompt: " in planned.stderr
    shown = CliRunner().invoke(app, ["preview", str(spec), "-n", "64"])
    assert last_line(shown)["rejected"] == 64
    assert SENTENCE in shown.stderr
    ran = CliRunner().invoke(app, ["run", str(spec), "--no-ray"])
    assert ran.exit_code == 2
    assert "63 of the first 63 rows are rejected, 63 of them because of prompt: " in ran.stderr
    assert Store(str(tmp_path / "out")).parts() == {}


def test_the_output_of_a_refused_run_takes_the_corrected_spec(fields, jsonl_source):
    write(jsonl_source, alt=None, text="a square")
    with pytest.raises(Refused, match="63 of the first 63 rows"):
        run(make_spec(fields), execute=InProcess())
    fields["prompt"] = {"user": "Rewrite: {{ text }}"}
    fields["sampling"]["max_new_tokens"] = 4
    report = run(make_spec({**fields, "source": {**fields["source"], "unit_rows": 640}}), execute=InProcess())
    assert report.complete
    assert report.audit.ok > report.audit.rejected


def test_a_run_whose_texts_hold_no_label_stops_early_and_goes_on_where_that_is_allowed(fields, jsonl_source, tmp_path):
    write(jsonl_source, alt="a square")
    fields |= {"label": NO_WORD, "source": {**fields["source"], "unit_rows": 128}}
    fields["sampling"]["max_new_tokens"] = 1
    report = run(make_spec(fields), execute=InProcess(max_threads=1))
    assert "256 of the first 256 rows are rejected, 256 of them because of parse: " in report.done_now["stopped"]
    assert report.done_now["units"] == 2
    assert not report.complete
    allowed = make_spec({**fields, "label": {**NO_WORD, "gate": {"max_rejected": 1.0}}})
    report = run(allowed, execute=InProcess())
    assert report.complete
    assert report.done_now["units"] < 15


def test_a_run_without_a_label_is_no_success_whatever_is_allowed(fields):
    label = {**NO_WORD, "gate": {"max_rejected": None}}
    report = run(make_spec({**fields, "label": label}), execute=InProcess())
    assert report.complete
    assert not report.passed
    assert report.audit.exceeded == ("no row has a label: all 120 are rejected",)


def test_more_rejects_than_one_in_ten_are_no_success_by_default(fields, jsonl_source, tmp_path):
    for name in "abc":
        rows = [{"id": name, "alt": "a square" if at % 5 else None} for at in range(40)]
        (jsonl_source / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = run(make_spec(fields), execute=InProcess())
    assert report.audit.exceeded == ("20.0 % of the rows have no label, the limit is label.gate.max_rejected 10.0 %",)
    assert not (tmp_path / "out/_SUCCESS").exists()
    assert run(make_spec({**fields, "label": {"column": "caption", "gate": {"max_rejected": 0.2}}})).passed
    assert (tmp_path / "out/_SUCCESS").exists()
