import random
import shutil
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from relabel.data.output.audit import ResumeState, audit, conclude, resume
from relabel.data.output.binding import open_run
from relabel.data.output.recipe import fingerprint
from relabel.data.store.store import Store
from tests.outputs import RECIPE, flip_bit, make_plan, planned_file, publish

A, B = planned_file("a.parquet", 10), planned_file("b.parquet", 3)
PLAN = make_plan(A, B)
PARTS = ["a-00000.parquet", "a-00001.parquet", "a-00002.parquet", "b-00000.parquet"]
MINE = fingerprint(RECIPE)


@pytest.fixture(params=["local", "s3"])
def any_store(request, tmp_path):
    return Store(str(tmp_path / "out") if request.param == "local" else request.getfixturevalue("s3_url"))


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def store(out):
    """A local output with every part of PLAN."""
    store = Store(str(out))
    for unit in begin(store, PLAN).units:
        publish(store, unit, MINE)
    return store


def begin(store, plan):
    return open_run(store, RECIPE, unit_rows=4, versions={}, replan=lambda known: plan).plan


def test_a_complete_output_is_counted_and_told_so(any_store):
    for unit in begin(any_store, PLAN).units:
        publish(any_store, unit, MINE)
    report = conclude(PLAN, any_store, MINE)
    assert report.complete
    assert report.problems == []
    assert (report.units, report.published, report.planned_rows, report.rows) == (4, 4, 13, 13)
    assert (report.ok, report.rejected, report.reasons) == (9, 4, {"image": 4})
    assert any_store.read_json("_SUCCESS") == {"fingerprint": MINE, **report.to_json()}


def test_a_missing_part_is_named_and_there_is_no_success(store, out):
    (out / PARTS[1]).unlink()
    report = conclude(PLAN, store, MINE)
    assert report.missing == (PARTS[1],)
    assert (report.complete, report.published, report.rows) == (False, 3, 9)
    assert "a-00001.parquet is not published" in report.problems[0]
    assert store.read_json("_SUCCESS") is None


def test_a_success_that_is_no_longer_true_goes(store, out):
    conclude(PLAN, store, MINE)
    (out / PARTS[1]).unlink()
    conclude(PLAN, store, MINE)
    assert not (out / "_SUCCESS").exists()


def test_a_flipped_bit_in_the_footer_is_found(store, out):
    flip_bit(out / PARTS[0], -40)
    report = audit(PLAN, store, MINE)
    assert (report.damaged, report.complete) == ((PARTS[0],), False)


@pytest.mark.parametrize("size", [0, 10, 2000])
def test_a_truncated_part_is_damaged(store, out, size):
    (out / PARTS[3]).write_bytes((out / PARTS[3]).read_bytes()[:size])
    assert audit(PLAN, store, MINE).damaged == (PARTS[3],)


def test_parts_made_from_something_else_are_stale(store, out):
    for part in PARTS[:3]:
        (out / part).unlink()
    publish(store, A.units[0], "another recipe")
    publish(store, planned_file("a.parquet", 10, version="2").units[1], MINE)
    (out / PARTS[2]).write_bytes((out / PARTS[3]).read_bytes())
    assert audit(PLAN, store, MINE).stale == tuple(PARTS[:3])


def test_a_foreign_part_is_named_and_other_files_are_not_our_business(store, out):
    (out / "deep").mkdir()
    pq.write_table(pa.table({"x": [1]}), out / "deep" / "theirs.parquet")
    (out / "README.md").write_text("about these labels")
    for stray in ("_x.parquet", ".x.parquet", "b-00000.parquet#1"):
        (out / stray).write_text("stray")
    report = audit(PLAN, store, MINE)
    assert (report.foreign, report.complete) == (("deep/theirs.parquet",), False)


def test_an_unreadable_source_file_makes_the_run_incomplete(store):
    report = audit(make_plan(A, B, unreadable=(("c.parquet", "it is truncated"),)), store, MINE)
    assert not report.complete
    assert report.problems == ["the source file c.parquet is unreadable: it is truncated"]


def test_a_run_begins_with_what_is_not_published(any_store):
    begin(any_store, PLAN)
    for unit in (*A.units[:2], *B.units):
        publish(any_store, unit, MINE)
    assert resume(PLAN, any_store, MINE) == ResumeState(done=(*A.units[:2], *B.units), bad={}, deleted=())


def test_parts_that_do_not_count_are_published_over(store, out):
    flip_bit(out / PARTS[0], -40)
    (out / PARTS[1]).write_bytes((out / PARTS[0]).read_bytes())
    (out / PARTS[2]).unlink()
    publish(store, A.units[2], "another recipe")
    start = resume(PLAN, store, MINE)
    assert (start.done, list(start.bad), start.deleted) == (B.units, PARTS[:3], ())
    for unit in A.units:
        assert not publish(store, unit, MINE)
        assert publish(store, unit, MINE, bad=start.bad[unit.part])
    assert conclude(PLAN, store, MINE).complete


def test_a_run_that_found_a_part_torn_leaves_alone_what_another_made_of_it_meanwhile(any_store):
    """It was deleted, and was made twice."""
    for unit in begin(any_store, PLAN).units:
        publish(any_store, unit, MINE)
    any_store.put_json(PARTS[1], "torn")
    slow, fast = resume(PLAN, any_store, MINE), resume(PLAN, any_store, MINE)
    assert publish(any_store, A.units[1], MINE, bad=fast.bad[PARTS[1]])
    assert conclude(PLAN, any_store, MINE).complete
    assert not publish(any_store, A.units[1], MINE, bad=slow.bad[PARTS[1]])
    assert resume(PLAN, any_store, MINE) == ResumeState(done=tuple(PLAN.units), bad={}, deleted=())


def test_beginning_with_work_to_do_takes_success_back_and_beginning_without_does_not(store, out):
    conclude(PLAN, store, MINE)
    resume(PLAN, store, MINE)
    assert (out / "_SUCCESS").exists()
    (out / PARTS[1]).unlink()
    resume(PLAN, store, MINE)
    assert not (out / "_SUCCESS").exists()


def test_parts_of_a_file_that_became_shorter_go(store):
    plan = begin(store, make_plan(planned_file("a.parquet", 4, version="2"), B))
    start = resume(plan, store, MINE)
    assert (start.done, list(start.bad), start.deleted) == (B.units, PARTS[:1], tuple(PARTS[1:3]))


def test_a_part_of_an_earlier_plan_that_is_damaged_goes_too(tmp_path):
    """It is nobody's by its stamp, and would have kept the run from ever being complete."""
    store = Store(str(tmp_path))
    for unit in begin(store, make_plan(A)).units:
        publish(store, unit, MINE)
    (tmp_path / PARTS[2]).write_bytes(b"torn")
    shorter = begin(store, make_plan(planned_file("a.parquet", 4, version="2")))
    assert resume(shorter, store, MINE).deleted == tuple(PARTS[1:3])
    assert list(store.parts()) == PARTS[:1]


def test_foreign_parts_are_never_deleted(store, out):
    pq.write_table(pa.table({"x": [1]}), out / "theirs.parquet")
    shutil.copy(out / PARTS[3], out / "damaged.parquet")
    flip_bit(out / "damaged.parquet", -40)
    assert resume(PLAN, store, MINE).deleted == ()
    assert audit(PLAN, store, MINE).foreign == ("damaged.parquet", "theirs.parquet")


def test_parts_that_another_process_planned_meanwhile_are_neither_foreign_nor_deleted(store):
    """It began later, found a new source file, and has published a part of it."""
    new = planned_file("c.parquet", 8)
    begin(store, make_plan(A, B, new))
    publish(store, new.units[0], MINE)
    assert resume(PLAN, store, MINE).deleted == ()
    report = conclude(PLAN, store, MINE)
    assert report.complete, "all of what this process planned"
    assert store.read_json("_SUCCESS") is None, "but not of what the other one did"


def test_a_run_of_an_older_plan_neither_grants_success_nor_takes_it_back(tmp_path):
    """It came back late: a source file was changed meanwhile, and labelled anew under the same names."""
    store = Store(str(tmp_path))
    late = begin(store, make_plan(A))
    for unit in A.units:
        publish(store, unit, MINE)
    newer = begin(store, make_plan(planned_file("a.parquet", 10, version="2")))
    assert conclude(late, store, MINE).complete
    assert store.read_json("_SUCCESS") is None
    for part in store.parts():
        store.delete(part)
    for unit in newer.units:
        publish(store, unit, MINE)
    assert conclude(newer, store, MINE).complete
    assert not conclude(late, store, MINE).complete
    assert store.read_json("_SUCCESS") is not None


def test_a_run_that_did_not_know_of_an_unreadable_file_does_not_grant_success(tmp_path):
    store = Store(str(tmp_path))
    late = begin(store, make_plan(A))
    newer = begin(store, replace(make_plan(A), unreadable=(("b.parquet", "it is cut off"),)))
    for unit in A.units:
        publish(store, unit, MINE)
    assert not conclude(newer, store, MINE).complete
    assert conclude(late, store, MINE).complete
    assert store.read_json("_SUCCESS") is None


class Overtaken(Store):
    """An output in which something happens right after its parts were listed."""

    def __init__(self, url, meanwhile):
        super().__init__(url)
        self.meanwhile = meanwhile

    def parts(self):
        found = super().parts()
        self.meanwhile()
        return found


def test_a_run_that_counted_before_another_published_the_last_part_leaves_its_success(tmp_path):
    store = Store(str(tmp_path))
    plan = begin(store, make_plan(A))
    for unit in A.units[1:]:
        publish(store, unit, MINE)

    def other_run():
        publish(store, A.units[0], MINE)
        assert conclude(plan, store, MINE).complete

    assert not conclude(plan, Overtaken(str(tmp_path), other_run), MINE).complete
    assert store.read_json("_SUCCESS") is not None


class Replacing(Store):
    """An output in which a retry replaces a part between the listing and the reading of it."""

    def __init__(self, url, part, num_bytes):
        super().__init__(url)
        self.part, self.num_bytes = part, num_bytes

    def parts(self):
        found = super().parts()
        part = self.read(self.part)
        texts = pa.array([random.Random(row).randbytes(self.num_bytes).hex() for row in range(part.rows.num_rows)])
        rows = part.rows.set_column(part.rows.column_names.index("text"), "text", texts)
        assert self.replace(self.part, rows, part.stamp.to_json(), part.version)
        return found


@pytest.mark.parametrize(("before", "after"), [(1, 3_000), (3_000, 1), (1, 300_000), (300_000, 1)])
def test_a_part_that_is_replaced_while_it_is_looked_at_is_sound(any_store, before, after):
    """It was taken for damaged and deleted."""
    for unit in begin(any_store, PLAN).units:
        publish(any_store, unit, MINE)
    for num_bytes in (before, after):
        racing = Replacing(any_store.url, PARTS[1], num_bytes)
        assert resume(PLAN, racing, MINE) == ResumeState(done=tuple(PLAN.units), bad={}, deleted=())
        assert audit(PLAN, racing, MINE).complete
    assert list(any_store.parts()) == PARTS


def test_the_json_of_a_report_stays_a_line(out):
    report = audit(make_plan(planned_file("a.parquet", 4000, unit_rows=1)), Store(str(out)), MINE).to_json()
    assert report["num_missing"] == 4000
    assert len(report["missing"]) == 20
