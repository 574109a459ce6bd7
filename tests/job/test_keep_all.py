"""A job that keeps all columns of its source."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from relabel import make_spec
from relabel.data.exports.export import export
from relabel.errors import RecipeChanged, SourceRefused
from relabel.job.preview import preview
from tests.job.nights import Nightly
from tests.reading import rows_of


@pytest.fixture
def job(tmp_path):
    job = Nightly(tmp_path)
    job.fields["output"]["keep"] = "all"
    return job


def test_every_column_stands_beside_the_label_but_those_whose_names_the_output_has(job, caplog):
    job.write("a", 5, extra={"likes": 3, "caption": "the old one", "status": "new"})
    job.write("b", 2, extra={"tags": ["x"]})
    assert job.night().complete
    job.assert_whole()
    rows = rows_of(job.out)
    assert [(row["likes"], row["tags"]) for row in rows] == [(3, None)] * 5 + [(None, '["x"]')] * 2
    assert {row["caption"] for row in rows} == {"a label"}
    assert {row["status"] for row in rows} == {"ok"}
    for name in ("caption", "status"):
        assert f"column {name} is not kept: the output has a column of this name" in caplog.text


def test_later_nights_keep_the_columns_of_the_first_and_say_what_is_new(job, caplog):
    job.write("a", 5, extra={"likes": 3})
    job.night()
    job.write("b", 2, extra={"tags": "x"})
    assert job.night().complete
    assert len(job.asked) == 2
    job.assert_whole()
    assert "column tags is not kept: the output has the columns of its first run" in caplog.text
    assert job.night().complete
    assert job.asked == []


def test_all_and_a_list_are_two_recipes(job):
    job.write("a", 5)
    job.night()
    job.fields["output"]["keep"] = ["id", "alt"]
    with pytest.raises(RecipeChanged, match=r"output\.keep"):
        job.night()


def test_a_preview_shows_labels_and_no_kept_column(job):
    job.write("a", 2, extra={"likes": 3})
    assert "likes" not in preview(make_spec(job.fields), 2).columns


def test_an_export_joins_what_is_not_kept(job, tmp_path):
    job.write("a", 5, extra={"likes": 3, "caption": "old"})
    job.night()
    written = export(job.store, str(tmp_path / "x.jsonl"), join=True)
    assert written.renamed == {"caption": "source_caption"}
    row = json.loads((tmp_path / "x.jsonl").read_text().splitlines()[0])
    assert (row["source_caption"], row["caption"], row["likes"]) == ("old", "a label", 3)


def test_columns_without_a_type_in_common_are_refused_with_the_way_out(job):
    for name, value in (("a", 1), ("b", [1])):
        pq.write_table(pa.table({"alt": ["x"], "v": [value]}), job.source / f"{name}.parquet")
    job.fields["source"]["format"] = "parquet"
    with pytest.raises(SourceRefused, match=r"column 'v'.*name others in output\.keep"):
        job.night()
