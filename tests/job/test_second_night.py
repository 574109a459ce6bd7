"""Whole runs into one output as the source grows, and what lies in the source beside its rows."""

import json
import logging

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from typer.testing import CliRunner

from relabel import make_spec, run
from relabel.cli import app
from relabel.job.local import InProcess
from relabel.job.preview import preview
from tests.reading import assert_every_row_once


@pytest.fixture
def night(fields, tmp_path):
    """Runs the spec over a folder `rows`, with what it keeps, and returns its report."""
    (tmp_path / "rows").mkdir()
    fields["source"] |= {"path": str(tmp_path / "rows")}

    def run_with(keep, format):
        fields["source"]["format"], fields["output"]["keep"] = format, keep
        return run(make_spec(fields), execute=InProcess())

    return run_with


def schemas_of(folder):
    return {str(pq.read_schema(path)) for path in folder.rglob("*.parquet") if "_relabel" not in path.parts}


def test_a_second_night_of_json_has_other_types_and_another_key(night, tmp_path, caplog):
    rows, out = tmp_path / "rows", tmp_path / "out"
    (rows / "a.jsonl").write_text("".join(json.dumps({"alt": f"row {n}", "price": n}) + "\n" for n in range(12)))
    assert night(["price"], "jsonl").complete
    first = {path: path.read_bytes() for path in out.rglob("a-*.parquet")}
    wider = [{"alt": "x", "price": 1.5}, {"alt": "y", "price": 2.0, "colour": "red"}, {"alt": "z", "price": "three"}]
    (rows / "b.jsonl").write_text("".join(json.dumps(row) + "\n" for row in wider))
    with caplog.at_level(logging.WARNING, "relabel"):
        report = night(["price"], "jsonl")
    assert report.complete
    assert "b.jsonl: column price is string, and int64 in the output: values that do not fit are null" in caplog.text
    assert first == {path: path.read_bytes() for path in first}
    labelled = assert_every_row_once(out, {"a.jsonl": 12, "b.jsonl": 3})
    assert all(row["status"] == "ok" and row["caption"] is not None for row in labelled)
    assert [(row["price"], row["reason"]) for row in labelled[12:]] == [
        (None, "kept as null: column price is not int64"),
        (2, None),
        (None, "kept as null: column price is not int64"),
    ]
    assert len(schemas_of(out)) == 1


def test_a_second_night_of_parquet_widens_integers_and_brings_a_column(night, tmp_path):
    rows, out = tmp_path / "rows", tmp_path / "out"
    pq.write_table(pa.table({"alt": ["a", "b"], "n": pa.array([1, 2], pa.int32())}), rows / "a.parquet")
    assert night(["n"], "parquet").complete
    later = {"n": [3.0, 4.5, None], "alt": ["c", "d", "e"], "new": [[1], [2], None]}
    pq.write_table(pa.table(later), rows / "b.parquet")
    assert night(["n"], "parquet").complete
    labelled = assert_every_row_once(out, {"a.parquet": 2, "b.parquet": 3})
    assert [row["status"] for row in labelled] == ["ok"] * 5
    assert [row["n"] for row in labelled] == [1, 2, 3, None, None]
    assert [row["reason"] for row in labelled] == [None] * 3 + ["kept as null: column n is not int32", None]
    assert len(schemas_of(out)) == 1


def test_what_is_passed_over_is_told_by_plan_and_by_run(fields, tmp_path, caplog):
    rows = tmp_path / "data"
    (rows / "notes.txt").write_text("x")
    (rows / "more.md").write_text("x")
    (rows / "state.json").write_text("{}")
    fields["source"]["path"] = str(rows)
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(fields))
    counts = {".md": 1, ".txt": 1, "state.json": 1}
    planned = CliRunner().invoke(app, ["plan", str(tmp_path / "spec.yaml")])
    assert json.loads(planned.stdout.splitlines()[-1])["passed_over"] == counts
    with caplog.at_level(logging.WARNING, "relabel"):
        ended = CliRunner().invoke(app, ["run", str(tmp_path / "spec.yaml"), "--no-ray"])
    assert ended.exit_code == 0, ended.output
    assert json.loads(ended.stdout.splitlines()[-1])["passed_over"] == counts
    assert "not read: " in caplog.text + ended.stderr
    assert all(f"1 {name}" in caplog.text + ended.stderr for name in counts)


def test_columns_that_are_no_identifiers_are_read_by_row_in_every_template(night, fields, tmp_path):
    (tmp_path / "rows" / "a.csv").write_text("Product Name,2nd,id\na red chair,wood,1\na lamp,,2\n")
    fields["prompt"] = {"user": "{{ id }}", "system": 'Of {{ row["Product Name"] }}.', "truncate": "Product Name"}
    del fields["label"]
    fields["labels"] = [{"name": "one", "user": 'By {{ row["2nd"] }}'}, {"name": "two", "system": "Short."}]
    assert night([], "csv").complete
    shown = preview(make_spec(fields), 1).to_dict("records")[0]
    assert "By wood" in shown["one_prompt"]
    assert "Of a red chair." in shown["one_prompt"]
    assert "Short." in shown["two_prompt"]


def test_a_column_named_row_is_read_as_before(night, fields, tmp_path):
    (tmp_path / "rows" / "a.jsonl").write_text('{"row": {"title": "inside"}, "title": "outside"}\n')
    fields["prompt"] = {"user": 'Say {{ row["title"] }}'}
    assert night([], "jsonl").complete
    assert "Say inside" in preview(make_spec(fields), 1)["prompt"][0]
