import json
from datetime import datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from relabel.data.exports.export import export
from relabel.data.store.store import Store
from relabel.errors import Refused, SourceUnreadable, SpecError
from tests.data.exports.labelled import labelled, write_lines, write_parquet


@pytest.fixture
def store(tmp_path):
    write_lines(tmp_path, "a", [{"id": f"a{row}", "alt": f"text {row}", "text": row} for row in range(6)])
    write_lines(tmp_path, "b", [{"id": f"b{row}", "alt": None, "likes": 1.5} for row in range(3)])
    return labelled(tmp_path)


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


PLACES = [("a.jsonl", row) for row in range(6)] + [("b.jsonl", row) for row in range(3)]


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_rows_are_those_of_the_parts_in_the_order_of_the_source(store, tmp_path, suffix):
    written = export(store, str(tmp_path / f"x.{suffix}"))
    assert (written.format, written.rows, written.ok, written.rejected) == (suffix, 9, 6, 3)
    assert written.complete
    rows = lines_of(tmp_path / "x.jsonl") if suffix == "jsonl" else pq.read_table(tmp_path / "x.parquet").to_pylist()
    assert rows == [row for part in store.parts() for row in store.read(part).rows.to_pylist()]
    assert [(row["source_file"], row["source_row"]) for row in rows] == PLACES


def test_all_columns_of_the_source_stand_beside_the_labels(store, tmp_path):
    """One that the output has a column of, too, gets another name; one that it kept is there once."""
    written = export(store, str(tmp_path / "x.parquet"), join=True)
    assert written.renamed == {"text": "source_text"}
    rows = pq.read_table(tmp_path / "x.parquet")
    assert rows.column_names[:3] == ["alt", "source_text", "likes"]
    assert rows["alt"].to_pylist() == [f"text {row}" for row in range(6)] + [None] * 3
    assert rows["source_text"].to_pylist() == [*range(6), None, None, None]
    assert rows["likes"].to_pylist() == [None] * 6 + [1.5] * 3
    assert rows["id"].to_pylist() == [f"{file}#{row}" for file, row in PLACES], "as it was when it was labelled"


def test_rejects_may_be_left_out(store, tmp_path):
    written = export(store, str(tmp_path / "x.jsonl"), join=True, only_ok=True)
    assert (written.rows, written.rejected) == (6, 0)
    rows = lines_of(tmp_path / "x.jsonl")
    assert {row["status"] for row in rows} == {"ok"}
    assert [row["alt"] for row in rows if row["source_file"] == "a.jsonl"] == ["text 0", "text 1", "text 2", "text 4"]


def test_bytes_are_joined_in_parquet_and_left_out_of_lines(tmp_path):
    write_parquet(tmp_path, "a", alt=["x"] * 2, pictures=pa.array([[b"\xff"]] * 2, pa.list_(pa.binary())))
    store = labelled(tmp_path, format="parquet")
    written = export(store, str(tmp_path / "x.jsonl"), join=True)
    assert written.left_out == {"pictures": "it holds bytes"}
    assert "pictures" not in lines_of(tmp_path / "x.jsonl")[0]
    assert export(store, str(tmp_path / "x.parquet"), join=True).left_out == {}
    assert pq.read_table(tmp_path / "x.parquet")["pictures"].to_pylist() == [[b"\xff"]] * 2


def test_what_json_has_no_word_for_is_written_as_text_or_null(tmp_path):
    write_parquet(
        tmp_path,
        "a",
        at=pa.array([datetime(2026, 1, 2, 3, 4), None], pa.timestamp("us")),
        after=pa.array([568_971_820_800_000, None], pa.timestamp("ms")),
        score=[[float("nan"), 1.0], []],
        price=pa.array(["1.10", None]).cast(pa.decimal128(5, 2)),
        line=["\u2028", "\u00e9"],
    )
    export(labelled(tmp_path, format="parquet"), str(tmp_path / "x.jsonl"), join=True)
    row = lines_of(tmp_path / "x.jsonl")[0]
    assert row["at"] == "2026-01-02 03:04:00.000000"
    assert "20000-01-01" in row["after"], "no date of Python's"
    assert row["score"] == [None, 1.0]
    assert row["price"] == "1.10"
    assert len((tmp_path / "x.jsonl").read_bytes().splitlines()) == 2


def test_a_unit_without_a_part_is_counted_and_the_rest_is_there(tmp_path):
    write_lines(tmp_path, "a", [{"id": str(row)} for row in range(6)])
    written = export(labelled(tmp_path, but=["a-00000.parquet"]), str(tmp_path / "x.jsonl"))
    assert (written.rows, written.missing, written.complete) == (2, 1, False)
    assert [row["source_row"] for row in lines_of(tmp_path / "x.jsonl")] == [4, 5]


def test_a_source_that_changed_ends_it_and_the_old_file_stays(store, tmp_path):
    (tmp_path / "x.jsonl").write_text("old")
    write_lines(tmp_path, "b", [{"id": "another"}] * 3)
    with pytest.raises(SourceUnreadable, match=r"b\.jsonl changed after it was planned"):
        export(store, str(tmp_path / "x.jsonl"), join=True)
    assert (tmp_path / "x.jsonl").read_text() == "old"
    assert not list(tmp_path.glob(".x*"))
    assert export(store, str(tmp_path / "x.jsonl")).complete, "without the source's columns it is not opened"


def test_a_file_in_an_object_store_is_there_whole_or_not_at_all(store, s3_url, tmp_path):
    for suffix in ("parquet", "jsonl"):
        export(store, f"{s3_url}/x.{suffix}", join=True)
        export(store, str(tmp_path / f"x.{suffix}"), join=True)
    found = Store(s3_url)
    assert {name: listed.size for name, listed in found.names().items()} == {
        f"x.{suffix}": (tmp_path / f"x.{suffix}").stat().st_size for suffix in ("jsonl", "parquet")
    }
    write_lines(tmp_path, "b", [{"id": "another"}] * 3)
    with pytest.raises(SourceUnreadable):
        export(store, f"{s3_url}/y.jsonl", join=True)
    assert len(found.names()) == 2


def test_of_batch_files_lines_are_answers_unless_others_are_asked_for(store, tmp_path):
    document = store.read_json("_run.json")
    document["recipe"]["source"]["format"] = "openai"
    store.put_json("_run.json", document)
    with pytest.raises(Refused, match="no column custom_id"):
        export(store, str(tmp_path / "x.jsonl"))
    assert export(store, str(tmp_path / "x.jsonl"), format="jsonl").rows == 9


@pytest.mark.parametrize(
    ("target", "options", "sentence"),
    [
        ("x.xlsx", {}, r"its name does not tell a format; end it in \.jsonl"),
        ("folder", {"format": "webdataset"}, r"end it in \.tar"),
        ("x.jsonl", {"format": "openai", "join": True}, "leave out --join"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(store, tmp_path, target, options, sentence):
    with pytest.raises(SpecError, match=sentence):
        export(store, str(tmp_path / target), **options)


def test_a_relative_source_is_found_from_the_folder_of_the_run_alone(store, tmp_path, monkeypatch):
    document = store.read_json("_run.json")
    document["recipe"]["source"]["path"] = ["source"]
    store.put_json("_run.json", document)
    monkeypatch.chdir(tmp_path)
    assert export(store, "x.jsonl", join=True).complete
    monkeypatch.chdir(tmp_path / "source")
    with pytest.raises(Refused, match="call this in the folder in which the run was begun"):
        export(store, "x.jsonl", join=True)
