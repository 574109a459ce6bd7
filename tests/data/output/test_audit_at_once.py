"""Processes beside each other, late and overtaken ones: none takes a part or a success from another."""

import random
from dataclasses import replace

import pyarrow as pa
import pytest

from relabel.data.output.audit import ResumeState, audit, conclude, resume
from relabel.data.store.store import Store
from tests.data.output.planned import MINE, PARTS, PLAN, A, B, begin_plan
from tests.outputs import make_plan, planned_file, publish


def test_a_run_that_found_a_part_torn_leaves_alone_what_another_made_of_it_meanwhile(store):
    """It was deleted, and was made twice."""
    for unit in begin_plan(store, PLAN).units:
        publish(store, unit, MINE)
    store.put_json(PARTS[1], "torn")
    slow, fast = resume(PLAN, store, MINE), resume(PLAN, store, MINE)
    assert publish(store, A.units[1], MINE, bad=fast.bad[PARTS[1]])
    assert conclude(PLAN, store, MINE).complete
    assert not publish(store, A.units[1], MINE, bad=slow.bad[PARTS[1]])
    assert resume(PLAN, store, MINE) == ResumeState(done=tuple(PLAN.units), bad={}, deleted=())


def test_parts_that_another_process_planned_meanwhile_are_neither_foreign_nor_deleted(whole):
    """It began later, found a new source file, and has published a part of it."""
    new = planned_file("c.parquet", 8)
    begin_plan(whole, make_plan(A, B, new))
    publish(whole, new.units[0], MINE)
    assert resume(PLAN, whole, MINE).deleted == ()
    report = conclude(PLAN, whole, MINE)
    assert report.complete, "all of what this process planned"
    assert whole.read_json("_SUCCESS") is None, "but not of what the other one did"


def test_a_run_of_an_older_plan_neither_grants_success_nor_takes_it_back(tmp_path):
    """It came back late: a source file was changed meanwhile, and labelled anew under the same names."""
    store = Store(str(tmp_path))
    late = begin_plan(store, make_plan(A))
    for unit in A.units:
        publish(store, unit, MINE)
    newer = begin_plan(store, make_plan(planned_file("a.parquet", 10, version="2")))
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
    late = begin_plan(store, make_plan(A))
    newer = begin_plan(store, replace(make_plan(A), unreadable=(("b.parquet", "it is cut off"),)))
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
    plan = begin_plan(store, make_plan(A))
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
def test_a_part_that_is_replaced_while_it_is_looked_at_is_sound(store, before, after):
    """It was taken for damaged and deleted."""
    for unit in begin_plan(store, PLAN).units:
        publish(store, unit, MINE)
    for num_bytes in (before, after):
        racing = Replacing(store.url, PARTS[1], num_bytes)
        assert resume(PLAN, racing, MINE) == ResumeState(done=tuple(PLAN.units), bad={}, deleted=())
        assert audit(PLAN, racing, MINE).complete
    assert list(store.parts()) == PARTS
