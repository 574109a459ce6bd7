"""The count at the end: what is there, what is not, and whether the run may call itself a success."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from relabel.data.output.audit import audit, conclude
from relabel.data.store.store import Store
from tests.data.output.planned import MINE, PARTS, PLAN, A, B, begin_plan
from tests.outputs import flip_bit, make_plan, planned_file, publish


def test_a_complete_output_is_counted_and_told_so(store):
    for unit in begin_plan(store, PLAN).units:
        publish(store, unit, MINE)
    report = conclude(PLAN, store, MINE)
    assert report.complete
    assert report.problems == []
    assert (report.units, report.published, report.planned_rows, report.rows) == (4, 4, 13, 13)
    assert (report.ok, report.rejected, report.reasons) == (9, 4, {"image": 4})
    assert store.read_json("_SUCCESS") == {"fingerprint": MINE, **report.to_json()}


def test_a_missing_part_is_named_and_there_is_no_success(whole, out):
    (out / PARTS[1]).unlink()
    report = conclude(PLAN, whole, MINE)
    assert report.missing == (PARTS[1],)
    assert (report.complete, report.published, report.rows) == (False, 3, 9)
    assert "a-00001.parquet is not published" in report.problems[0]
    assert whole.read_json("_SUCCESS") is None


def test_a_success_that_is_no_longer_true_goes(whole, out):
    conclude(PLAN, whole, MINE)
    (out / PARTS[1]).unlink()
    conclude(PLAN, whole, MINE)
    assert not (out / "_SUCCESS").exists()


def test_a_flipped_bit_in_the_footer_is_found(whole, out):
    flip_bit(out / PARTS[0], -40)
    report = audit(PLAN, whole, MINE)
    assert (report.damaged, report.complete) == ((PARTS[0],), False)


@pytest.mark.parametrize("size", [0, 10, 2000])
def test_a_truncated_part_is_damaged(whole, out, size):
    (out / PARTS[3]).write_bytes((out / PARTS[3]).read_bytes()[:size])
    assert audit(PLAN, whole, MINE).damaged == (PARTS[3],)


def test_parts_made_from_something_else_are_stale(whole, out):
    for part in PARTS[:3]:
        (out / part).unlink()
    publish(whole, A.units[0], "another recipe")
    publish(whole, planned_file("a.parquet", 10, version="2").units[1], MINE)
    (out / PARTS[2]).write_bytes((out / PARTS[3]).read_bytes())
    assert audit(PLAN, whole, MINE).stale == tuple(PARTS[:3])


def test_a_foreign_part_is_named_and_other_files_are_not_our_business(whole, out):
    (out / "deep").mkdir()
    pq.write_table(pa.table({"x": [1]}), out / "deep" / "theirs.parquet")
    (out / "README.md").write_text("about these labels")
    for stray in ("_x.parquet", ".x.parquet", "b-00000.parquet#1"):
        (out / stray).write_text("stray")
    report = audit(PLAN, whole, MINE)
    assert (report.foreign, report.complete) == (("deep/theirs.parquet",), False)


def test_an_unreadable_source_file_makes_the_run_incomplete(whole):
    report = audit(make_plan(A, B, unreadable=(("c.parquet", "it is truncated"),)), whole, MINE)
    assert not report.complete
    assert report.problems == ["the source file c.parquet is unreadable: it is truncated"]


def test_the_json_of_a_report_stays_a_line(out):
    report = audit(make_plan(planned_file("a.parquet", 4000, unit_rows=1)), Store(str(out)), MINE).to_json()
    assert report["num_missing"] == 4000
    assert len(report["missing"]) == 20
