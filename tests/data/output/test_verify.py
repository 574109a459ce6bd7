"""The whole output, read back and held against its plan."""

import json

import pyarrow.parquet as pq
import pytest

from relabel.data.output.status import status
from relabel.data.output.verify import verify
from relabel.data.quality.measure import measure
from relabel.data.store.stamp import make_stamp
from relabel.data.store.store import Store
from relabel.errors import Refused
from tests.data.output.planned import MINE, PLAN, UNIT, A, B, begin_plan, with_column
from tests.outputs import flip_bit, make_plan, publish, rows_of


def test_a_sound_output_has_no_problems(store):
    for unit in begin_plan(store, PLAN).units:
        publish(store, unit, MINE)
    found = verify(store)
    assert found.to_json() == {"units": 4, "rows": 13, "ok": 9, "rejected": 4, "problems": ()}


def test_a_folder_without_a_run_is_refused(tmp_path):
    for look in (verify, status):
        with pytest.raises(Refused, match="no run was begun"):
            look(Store(str(tmp_path)))


def test_a_missing_unit_is_found(begun):
    (problem,) = verify(begun).problems
    assert "a-00001.parquet is not there" in problem


def test_another_fingerprint_is_found(begun):
    publish(begun, UNIT, "another recipe")
    assert verify(begun).problems == ("a-00001.parquet was made by another recipe or source version",)


def test_a_stamp_that_counts_otherwise_than_the_rows_is_found(begun):
    rows = rows_of(UNIT)
    begun.publish(UNIT.part, rows, make_stamp(UNIT, MINE, rows).to_json() | {"ok": 4, "rejected": 0})
    assert verify(begun).problems == ("a-00001.parquet has other counts than its stamp",)


def test_the_quality_in_a_stamp_is_not_counted_again(begun):
    """It may compare with an old column that is not in the output."""
    publish(begun, UNIT, MINE, quality={"": measure(["new"], ["stop"], [4], ["old"])})
    assert verify(begun).problems == ()


def test_a_flipped_bit_in_a_page_is_found(begun, out):
    publish(begun, UNIT, MINE)
    column = pq.read_metadata(out / UNIT.part).row_group(0).column(3)
    flip_bit(out / UNIT.part, column.data_page_offset + column.total_compressed_size - 3)
    (problem,) = verify(begun).problems
    assert "a-00001.parquet cannot be read back" in problem
    assert status(begun).report.complete, "the quick look reads footers only"


class Replacing(Store):
    """An output in which a retry replaces a part after each look at it, and turns a reject into a label."""

    def read_stamp(self, part, size=None):
        stamp = super().read_stamp(part, size)
        self.heal(part)
        return stamp

    def read(self, part):
        found = super().read(part)
        self.heal(part)
        return found

    def heal(self, part):
        unit = next(unit for unit in PLAN.units if unit.part == part)
        rows, size = rows_of(unit), unit.num_rows
        for name, value in {"status": "ok", "caption": "x", "text": "x", "reason": None}.items():
            rows = with_column(rows, name, [value] * size)
        self.replace(part, rows, make_stamp(unit, MINE, rows).to_json(), super().read(part).version)


def test_a_part_that_is_replaced_meanwhile_has_the_counts_of_its_stamp(begun):
    publish(begun, UNIT, MINE)
    assert verify(Replacing(begun.url)).problems == ()


def test_foreign_parts_are_named_and_strays_are_not(begun, out):
    publish(begun, UNIT, MINE)
    for name in ("x.parquet", "_x.parquet", ".x.parquet", "a-00000.parquet#1", "notes.txt"):
        (out / name).write_text("?")
    assert verify(begun).problems == ("x.parquet is no part of this run: move it out of the output",)


def test_a_plan_with_a_gap_is_found(begun, out):
    publish(begun, UNIT, MINE)
    document = json.loads((out / "_run.json").read_text())
    document["plan"]["files"][1]["units"] = [[1, 3, 0]]
    (out / "_run.json").write_text(json.dumps(document))
    assert "the plan of b.parquet has a gap or an overlap at row 0" in verify(begun).problems


def test_an_unreadable_source_file_is_named(begun):
    publish(begun, UNIT, MINE)
    plan = make_plan(A, B, unreadable=(("c.parquet", "it is truncated"),))
    begin_plan(begun, plan)
    assert verify(begun).problems == ("the source file c.parquet is unreadable: it is truncated",)
