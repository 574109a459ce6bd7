"""A run begins with what is not published, and takes back what no longer counts."""

import shutil

import pyarrow as pa
import pyarrow.parquet as pq

from relabel.data.output.audit import ResumeState, audit, conclude, resume
from relabel.data.store.store import Store
from tests.data.output.planned import MINE, PARTS, PLAN, A, B, begin_plan
from tests.outputs import flip_bit, make_plan, planned_file, publish


def test_a_run_begins_with_what_is_not_published(store):
    begin_plan(store, PLAN)
    for unit in (*A.units[:2], *B.units):
        publish(store, unit, MINE)
    assert resume(PLAN, store, MINE) == ResumeState(done=(*A.units[:2], *B.units), bad={}, deleted=())


def test_parts_that_do_not_count_are_published_over(whole, out):
    flip_bit(out / PARTS[0], -40)
    (out / PARTS[1]).write_bytes((out / PARTS[0]).read_bytes())
    (out / PARTS[2]).unlink()
    publish(whole, A.units[2], "another recipe")
    start = resume(PLAN, whole, MINE)
    assert (start.done, list(start.bad), start.deleted) == (B.units, PARTS[:3], ())
    for unit in A.units:
        assert not publish(whole, unit, MINE)
        assert publish(whole, unit, MINE, bad=start.bad[unit.part])
    assert conclude(PLAN, whole, MINE).complete


def test_beginning_with_work_to_do_takes_success_back_and_beginning_without_does_not(whole, out):
    conclude(PLAN, whole, MINE)
    resume(PLAN, whole, MINE)
    assert (out / "_SUCCESS").exists()
    (out / PARTS[1]).unlink()
    resume(PLAN, whole, MINE)
    assert not (out / "_SUCCESS").exists()


def test_parts_of_a_file_that_became_shorter_go(whole):
    plan = begin_plan(whole, make_plan(planned_file("a.parquet", 4, version="2"), B))
    start = resume(plan, whole, MINE)
    assert (start.done, list(start.bad), start.deleted) == (B.units, PARTS[:1], tuple(PARTS[1:3]))


def test_a_part_of_an_earlier_plan_that_is_damaged_goes_too(tmp_path):
    """It is nobody's by its stamp, and would have kept the run from ever being complete."""
    store = Store(str(tmp_path))
    for unit in begin_plan(store, make_plan(A)).units:
        publish(store, unit, MINE)
    (tmp_path / PARTS[2]).write_bytes(b"torn")
    shorter = begin_plan(store, make_plan(planned_file("a.parquet", 4, version="2")))
    assert resume(shorter, store, MINE).deleted == tuple(PARTS[1:3])
    assert list(store.parts()) == PARTS[:1]


def test_foreign_parts_are_never_deleted(whole, out):
    pq.write_table(pa.table({"x": [1]}), out / "theirs.parquet")
    shutil.copy(out / PARTS[3], out / "damaged.parquet")
    flip_bit(out / "damaged.parquet", -40)
    assert resume(PLAN, whole, MINE).deleted == ()
    assert audit(PLAN, whole, MINE).foreign == ("damaged.parquet", "theirs.parquet")
