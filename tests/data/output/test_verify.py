import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from relabel.data.output.audit import conclude
from relabel.data.output.binding import open_run
from relabel.data.output.manifest import write_gates
from relabel.data.output.recipe import fingerprint
from relabel.data.output.status import status
from relabel.data.output.verify import verify
from relabel.data.quality.measure import measure
from relabel.data.store.stamp import make_stamp
from relabel.data.store.store import Store
from relabel.errors import Refused
from relabel.spec import Gate
from tests.outputs import RECIPE, flip_bit, make_plan, planned_file, publish, rows_of

A, B = planned_file("a.parquet", 10), planned_file("b.parquet", 3)
PLAN = make_plan(A, B)
MINE = fingerprint(RECIPE)
UNIT = A.units[1]


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def store(out):
    """An output with all parts of PLAN but that of UNIT."""
    return fill(Store(str(out)))


def fill(store):
    open_run(store, RECIPE, unit_rows=4, versions={}, replan=lambda known: PLAN)
    for unit in PLAN.units:
        if unit != UNIT:
            publish(store, unit, MINE)
    return store


def with_column(rows: pa.Table, name: str, values: list) -> pa.Table:
    at = rows.schema.get_field_index(name)
    return rows.set_column(at, rows.schema.field(at), pa.array(values, rows.schema.field(at).type))


@pytest.mark.parametrize("kind", ["local", "s3"])
def test_a_sound_output_has_no_problems(kind, tmp_path, request):
    store = fill(Store(str(tmp_path / "out") if kind == "local" else request.getfixturevalue("s3_url")))
    publish(store, UNIT, MINE)
    found = verify(store)
    assert found.to_json() == {"units": 4, "rows": 13, "ok": 9, "rejected": 4, "problems": ()}


def test_a_folder_without_a_run_is_refused(tmp_path):
    for look in (verify, status):
        with pytest.raises(Refused, match="no run was begun"):
            look(Store(str(tmp_path)))


def test_a_missing_unit_is_found(store):
    (problem,) = verify(store).problems
    assert "a-00001.parquet is not there" in problem


def test_swapped_rows_are_found(store):
    publish(store, UNIT, MINE, rows_of(UNIT).take([0, 2, 1, 3]))
    assert verify(store).problems == ("a-00001.parquet: source_row does not go from 4 to 7 one by one",)


def test_a_double_row_number_is_found(store):
    publish(store, UNIT, MINE, with_column(rows_of(UNIT), "source_row", [4, 5, 5, 7]))
    assert verify(store).problems == ("a-00001.parquet: source_row does not go from 4 to 7 one by one",)


def test_rows_of_another_file_are_found(store):
    publish(store, UNIT, MINE, with_column(rows_of(UNIT), "source_file", ["a.parquet", "b.parquet"] * 2))
    assert verify(store).problems == ("a-00001.parquet: source_file is not a.parquet in every row",)


def test_too_few_rows_are_found(store):
    publish(store, UNIT, MINE, rows_of(UNIT).slice(1))
    assert any("made by another recipe or source version" in problem for problem in verify(store).problems)


def test_another_schema_is_found(store):
    rows = rows_of(UNIT)
    at = rows.schema.get_field_index("prompt_tokens")
    publish(store, UNIT, MINE, rows.set_column(at, "prompt_tokens", rows["prompt_tokens"].cast(pa.int64())))
    (problem,) = verify(store).problems
    assert "another schema" in problem
    assert "prompt_tokens: int64" in problem


def test_a_lacking_column_is_found(store):
    publish(store, UNIT, MINE, rows_of(UNIT).drop_columns(["id"]))
    (problem,) = verify(store).problems
    assert "another schema" in problem


def test_another_fingerprint_is_found(store):
    publish(store, UNIT, "another recipe")
    assert verify(store).problems == ("a-00001.parquet was made by another recipe or source version",)


@pytest.mark.parametrize(
    ("column", "values", "problem"),
    [
        ("status", ["ok", "ok", "okay", "rejected"], "a status is neither ok nor rejected"),
        ("reason", [None, None, None, ""], "a rejected row has no reason"),
        ("caption", ["x", None, "x", None], "a row that is ok has no caption"),
        ("caption", ["x", "x", "x", "x"], "a rejected row has a caption"),
        ("text", ["x", None, "x", None], "a row that is ok has no text"),
    ],
)
def test_rows_that_are_neither_a_label_nor_a_reject_are_found(store, column, values, problem):
    publish(store, UNIT, MINE, with_column(rows_of(UNIT), column, values))
    assert f"a-00001.parquet: {problem}" in verify(store).problems


def test_the_text_of_a_rejected_row_is_no_problem(store):
    publish(store, UNIT, MINE, with_column(rows_of(UNIT), "text", ["x", "x", "x", "not what was asked for"]))
    assert verify(store).problems == ()


SEVERAL = {
    "labels": [
        {"name": "short", "parse": "text"},
        {"name": "facts", "parse": "json", "json_schema": {"properties": {"age": {"type": ["integer", "null"]}}}},
    ],
    "sampling": {"seed": 1},
    "output": {"keep": []},
}


@pytest.mark.parametrize(
    ("column", "values", "problem"),
    [
        (None, [], None),
        ("facts_age", [None, None], None),
        ("short", ["x", None], "a row that is ok has no short"),
        ("short_text", [None, "x"], "a row that is ok has no short_text"),
        ("facts_text", [None, "x"], "a row that is ok has no facts_text"),
        ("facts_age", [3, 3], "a rejected row has a facts_age"),
        ("facts_status", ["ok", "ok"], "a row is ok and a label of it is not, or the other way round"),
        ("short_status", [None, "ok"], "a row is ok and a label of it is not, or the other way round"),
    ],
)
def test_each_of_several_labels_has_a_status_of_its_own(out, column, values, problem):
    """Of the second row, `facts` is rejected and `short` is not."""
    store, plan = Store(str(out)), make_plan(planned_file("a.parquet", 2))
    run = open_run(store, SEVERAL, unit_rows=4, versions={}, replan=lambda known: plan)
    written = {
        "source_file": ["a.parquet"] * 2,
        "source_row": [0, 1],
        "short": ["x", "x"],
        "short_text": ["x", "x"],
        "short_status": ["ok", "ok"],
        "facts_age": [3, None],
        "facts_text": ['{"age": 3}', "three"],
        "facts_status": ["ok", "rejected"],
        "status": ["ok", "rejected"],
        "reason": [None, "parse: no JSON (label facts)"],
    }
    rows = pa.table({name: written.get(name, [None] * 2) for name in run.schema.names}, schema=run.schema)
    publish(store, next(iter(plan.units)), run.fingerprint, with_column(rows, column, values) if column else rows)
    problems = verify(store).problems
    assert f"a-00000.parquet: {problem}" in problems if problem else not problems


def test_a_remark_on_a_row_that_is_ok_is_no_problem(store):
    publish(store, UNIT, MINE, with_column(rows_of(UNIT), "reason", ["prompt: cut", None, None, "image: broken"]))
    assert verify(store).problems == ()


def test_a_stamp_that_counts_otherwise_than_the_rows_is_found(store):
    rows = rows_of(UNIT)
    store.publish(UNIT.part, rows, make_stamp(UNIT, MINE, rows).to_json() | {"ok": 4, "rejected": 0})
    assert verify(store).problems == ("a-00001.parquet has other counts than its stamp",)


def test_the_quality_in_a_stamp_is_not_counted_again(store):
    """It may compare with an old column that is not in the output."""
    publish(store, UNIT, MINE, quality={"": measure(["new"], ["stop"], [4], ["old"])})
    assert verify(store).problems == ()


def test_a_flipped_bit_in_a_page_is_found(store, out):
    publish(store, UNIT, MINE)
    column = pq.read_metadata(out / UNIT.part).row_group(0).column(3)
    flip_bit(out / UNIT.part, column.data_page_offset + column.total_compressed_size - 3)
    (problem,) = verify(store).problems
    assert "a-00001.parquet cannot be read back" in problem
    assert status(store).report.complete, "the quick look reads footers only"


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


def test_a_part_that_is_replaced_meanwhile_has_the_counts_of_its_stamp(store):
    publish(store, UNIT, MINE)
    assert verify(Replacing(store.url)).problems == ()


def test_foreign_parts_are_named_and_strays_are_not(store, out):
    publish(store, UNIT, MINE)
    for name in ("x.parquet", "_x.parquet", ".x.parquet", "a-00000.parquet#1", "notes.txt"):
        (out / name).write_text("?")
    assert verify(store).problems == ("x.parquet is no part of this run: move it out of the output",)


def test_a_plan_with_a_gap_is_found(store, out):
    publish(store, UNIT, MINE)
    document = json.loads((out / "_run.json").read_text())
    document["plan"]["files"][1]["units"] = [[1, 3, 0]]
    (out / "_run.json").write_text(json.dumps(document))
    assert "the plan of b.parquet has a gap or an overlap at row 0" in verify(store).problems


def test_an_unreadable_source_file_is_named(store):
    publish(store, UNIT, MINE)
    plan = make_plan(A, B, unreadable=(("c.parquet", "it is truncated"),))
    open_run(store, RECIPE, unit_rows=4, versions={}, replan=lambda known: plan)
    assert verify(store).problems == ("the source file c.parquet is unreadable: it is truncated",)


def test_status_tells_how_far_a_run_is(store):
    begun = status(store).to_json()
    assert (begun["units"], begun["published"], begun["planned_rows"], begun["rows"]) == (4, 3, 13, 9)
    assert (begun["ok"], begun["rejected"], begun["success"]) == (6, 3, False)
    publish(store, UNIT, MINE)
    conclude(PLAN, store, MINE)
    assert status(store).success


def test_status_judges_by_the_limits_of_the_newest_run(store):
    """It said `passed` where the run had failed its gate."""
    publish(store, UNIT, MINE)
    write_gates(store, {"": Gate(max_rejected=0.1)})
    found = status(store)
    assert (found.report.complete, found.report.passed) == (True, False)
    assert found.to_json()["exceeded"] == [
        "30.8 % of the rows have no label, the limit is label.gate.max_rejected 10.0 %"
    ]
    write_gates(store, {"": Gate(max_rejected=0.5)})
    assert status(store).report.passed


@pytest.mark.parametrize("limits", [[1], {"": {"max_good": 1}}, {"": 3}])
def test_limits_of_another_version_are_refused(store, limits):
    store.put_json("_gates.json", limits)
    with pytest.raises(Refused, match=r"_gates\.json is not what this version writes"):
        status(store)
