"""What is wrong with the rows of a part is found and named."""

import pyarrow as pa
import pytest

from relabel.data.output.binding import open_run
from relabel.data.output.verify import verify
from relabel.data.store.store import Store
from tests.data.output.planned import MINE, UNIT, with_column
from tests.outputs import make_plan, planned_file, publish, rows_of


def test_swapped_rows_are_found(begun):
    publish(begun, UNIT, MINE, rows_of(UNIT).take([0, 2, 1, 3]))
    assert verify(begun).problems == ("a-00001.parquet: source_row does not go from 4 to 7 one by one",)


def test_a_double_row_number_is_found(begun):
    publish(begun, UNIT, MINE, with_column(rows_of(UNIT), "source_row", [4, 5, 5, 7]))
    assert verify(begun).problems == ("a-00001.parquet: source_row does not go from 4 to 7 one by one",)


def test_rows_of_another_file_are_found(begun):
    publish(begun, UNIT, MINE, with_column(rows_of(UNIT), "source_file", ["a.parquet", "b.parquet"] * 2))
    assert verify(begun).problems == ("a-00001.parquet: source_file is not a.parquet in every row",)


def test_too_few_rows_are_found(begun):
    publish(begun, UNIT, MINE, rows_of(UNIT).slice(1))
    assert any("made by another recipe or source version" in problem for problem in verify(begun).problems)


def test_another_schema_is_found(begun):
    rows = rows_of(UNIT)
    at = rows.schema.get_field_index("prompt_tokens")
    publish(begun, UNIT, MINE, rows.set_column(at, "prompt_tokens", rows["prompt_tokens"].cast(pa.int64())))
    (problem,) = verify(begun).problems
    assert "another schema" in problem
    assert "prompt_tokens: int64" in problem


def test_a_lacking_column_is_found(begun):
    publish(begun, UNIT, MINE, rows_of(UNIT).drop_columns(["id"]))
    (problem,) = verify(begun).problems
    assert "another schema" in problem


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
def test_rows_that_are_neither_a_label_nor_a_reject_are_found(begun, column, values, problem):
    publish(begun, UNIT, MINE, with_column(rows_of(UNIT), column, values))
    assert f"a-00001.parquet: {problem}" in verify(begun).problems


def test_the_text_of_a_rejected_row_is_no_problem(begun):
    publish(begun, UNIT, MINE, with_column(rows_of(UNIT), "text", ["x", "x", "x", "not what was asked for"]))
    assert verify(begun).problems == ()


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


def test_a_remark_on_a_row_that_is_ok_is_no_problem(begun):
    publish(begun, UNIT, MINE, with_column(rows_of(UNIT), "reason", ["prompt: cut", None, None, "image: broken"]))
    assert verify(begun).problems == ()
