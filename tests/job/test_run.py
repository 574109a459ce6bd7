"""Whole runs in this process: when all goes well, and when a row, a file, a recipe or a machine is bad."""

from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import relabel
from relabel import make_spec
from relabel.data.output.verify import verify
from relabel.data.store.store import Store
from relabel.errors import RecipeChanged, SourceChanged, SpecError
from relabel.job.local import InProcess
from relabel.job.prepare import prepare
from relabel.spec import Resources
from tests.reading import assert_every_row_once, rows_of

run = partial(relabel.run, execute=InProcess())
ALL = {"a.jsonl": 40, "b.jsonl": 40, "c.jsonl": 40}


def test_every_row_is_labelled_once_and_the_folder_verifies(first_run):
    folder, _, report = first_run
    assert report.complete
    rows = assert_every_row_once(folder / "out", ALL)
    assert [row["id"] for row in rows[:3]] == ["a0", "a1", "a2"]
    assert {row["status"] for row in rows} == {"ok"}
    assert all(row["caption"] == row["text"].strip() and row["finish_reason"] in ("stop", "length") for row in rows)
    assert all(row["output_tokens"] <= 8 and row["prompt_tokens"] > 10 for row in rows)
    assert verify(Store(str(folder / "out"))).problems == ()
    assert (folder / "out/_SUCCESS").exists()


def test_the_same_command_again_does_nothing(finished, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.parquet")}
    assert run(finished).done_now == {}
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.parquet")} == before


def test_lost_parts_are_made_again_with_the_same_text_and_new_files_rename_nothing(finished, tmp_path):
    before = rows_of(tmp_path / "out")
    names = {path.name for path in (tmp_path / "out").glob("*.parquet")}
    (tmp_path / "out/b-00002.parquet").unlink()
    (tmp_path / "data/aa.jsonl").write_text('{"id": "new", "alt": "a square"}\n')
    report = run(finished.model_copy(update={"resources": Resources(gpus_per_actor=0, batch_tokens=600)}))
    assert (report.done_now["units"], report.done_now["rows"]) == (2, 11)
    assert {path.name for path in (tmp_path / "out").glob("*.parquet")} == names | {"aa-00000.parquet"}
    rows = assert_every_row_once(tmp_path / "out", {**ALL, "aa.jsonl": 1})
    kept = [row for row in rows if row["source_file"] != "aa.jsonl"]
    assert kept == before, "sampled text depends on the row alone, not on its batch or its run"


def test_a_changed_recipe_is_refused_by_the_field_that_changed(finished):
    sampling = finished.sampling.model_copy(update={"max_new_tokens": 9})
    with pytest.raises(RecipeChanged, match=r"sampling\.max_new_tokens: 8 -> 9"):
        run(finished.model_copy(update={"sampling": sampling}))


def test_a_changed_source_file_is_refused_and_redone_on_request(finished, tmp_path):
    (tmp_path / "data/b.jsonl").write_text('{"id": "only", "alt": "a square"}\n')
    with pytest.raises(SourceChanged, match=r"b\.jsonl.*--redo-changed"):
        run(finished)
    assert run(finished, redo_changed=True).complete
    rows = assert_every_row_once(tmp_path / "out", {**ALL, "b.jsonl": 1})
    assert [row["id"] for row in rows if row["source_file"] == "b.jsonl"] == ["only"]


def test_no_row_text_is_left_in_the_run_documents_or_the_log(first_run, finished, tmp_path, caplog):
    (tmp_path / "out/c-00003.parquet").write_bytes(b"a circle")
    with caplog.at_level("DEBUG", logger="relabel"):
        run(finished)
    assert "c-00003.parquet" in caplog.text
    documents = [path.read_text() for path in (tmp_path / "out").glob("_*") if path.is_file()]
    assert len(documents) >= 2
    assert not any("circle" in text for text in [*documents, caplog.text])


def test_a_bad_row_costs_itself(fields, jsonl_source, tmp_path):
    lines = [
        '{"id": "good", "alt": "a square"}',
        "not json",
        '{"id": "null", "alt": null}',
        '{"id": "long", "alt": "%s"}',
    ]
    (jsonl_source / "b.jsonl").write_text("\n".join(lines) % ("word " * 500) + "\n")
    report = run(make_spec(fields))
    assert report.complete
    assert report.audit.rejected == 3
    rows = assert_every_row_once(tmp_path / "out", {**ALL, "b.jsonl": 4})
    reasons = [row["reason"] for row in rows if row["source_file"] == "b.jsonl"]
    assert reasons[0] is None
    assert [reason.split(":")[0] for reason in reasons[1:]] == ["source", "prompt", "prompt_too_long"]
    assert all(row["caption"] is None for row in rows if row["status"] == "rejected")


def test_a_broken_file_costs_itself_and_is_named(fields, tmp_path):
    folder = tmp_path / "parquet"
    folder.mkdir()
    for name in "ab":
        pq.write_table(pa.table({"id": ["1", "2"], "alt": ["a circle", "a square"]}), folder / f"{name}.parquet")
    whole = (folder / "a.parquet").read_bytes()
    (folder / "broken.parquet").write_bytes(whole[: len(whole) // 2])
    fields["source"] = {"path": str(folder), "format": "parquet"}
    report = run(make_spec(fields))
    assert not report.complete
    assert "broken.parquet" in report.to_json()["unreadable"][0]["file"]
    assert_every_row_once(tmp_path / "out", {"a.parquet": 2, "b.parquet": 2})
    assert not (tmp_path / "out/_SUCCESS").exists()


def test_an_unknown_column_is_refused_before_anything_is_written(fields, tmp_path):
    with pytest.raises(SpecError, match=r"'altt' \(did you mean 'alt'\?\)"):
        run(make_spec({**fields, "prompt": {"user": "{{ altt }}"}}))
    assert not list((tmp_path / "out").glob("*"))


def test_a_run_whose_output_another_recipe_took_ends_before_its_first_part(fields, tmp_path):
    other = make_spec({**fields, "sampling": {"max_new_tokens": 9}})

    def lose_it(units, job, *, num_rows, course):
        prepare(other, Store(job.output))
        return InProcess()(units, job, num_rows=num_rows, course=course)

    with pytest.raises(RecipeChanged, match="begun anew by another recipe"):
        relabel.run(make_spec(fields), execute=lose_it)
    assert not list((tmp_path / "out").rglob("*.parquet"))
    assert run(other).complete
