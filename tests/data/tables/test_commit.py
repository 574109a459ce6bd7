import json
import sys
from functools import partial

import duckdb
import pyarrow as pa
import pytest

from relabel.data.output.audit import conclude
from relabel.data.output.manifest import SUCCESS
from relabel.data.output.recipe import fingerprint, make_recipe
from relabel.data.store.store import Store
from relabel.data.tables.commit import NOTE, commit_table, noted_table, open_table, take_table
from relabel.data.tables.table import Mark
from relabel.errors import Refused, SpecError, StoreFailed
from relabel.spec import make_spec
from relabel.spec.running.table import Table
from tests.data.tables.place import EMPTY, FORMATS, Place
from tests.outputs import RECIPE, SCHEMA, begin, planned_file, publish

A, B = planned_file("a.jsonl", 10), planned_file("b.jsonl", 3)
MINE = fingerprint(RECIPE)


@pytest.fixture(params=FORMATS)
def place(request, tmp_path, monkeypatch):
    return Place(request.param, tmp_path, monkeypatch)


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "out"))


def to_the_end(store, *files, place):
    """A run whose parts are all there at its end."""
    run = begin(store, *files)
    for unit in run.plan.units:
        publish(store, unit, MINE)
    take_table(place.section, store, MINE, SCHEMA)
    return conclude(run.plan, store, MINE, before_success=partial(commit_table, place.section))


ALL = [("a.jsonl", row) for row in range(10)] + [("b.jsonl", row) for row in range(3)]


def test_all_rows_are_one_commit_however_many_runs_end(store, place):
    for _ in range(3):
        assert to_the_end(store, A, B, place=place).passed
        assert store.version(SUCCESS)
        assert (place.rows_by_place(), place.num_commits) == (ALL, 1)


def test_rows_read_back_as_they_are_in_the_parts_also_by_duckdb(store, place):
    to_the_end(store, A, B, place=place)
    rows = place.rows()
    parts = pa.concat_tables([store.read(part).rows for part in store.parts()])
    order = [("source_file", "ascending"), ("source_row", "ascending")]
    assert rows.sort_by(order).to_pylist() == parts.sort_by(order).to_pylist()
    found = duckdb.sql("select status, count(*), count(caption), max(prompt_tokens) from rows group by 1 order by 1")
    assert found.fetchall() == [("ok", 9, 9, 3), ("rejected", 4, 0, None)]


def test_rows_that_came_and_rows_that_were_replaced_make_one_new_version_with_all(store, place):
    to_the_end(store, A, place=place)
    to_the_end(store, A, B, place=place)
    assert (place.rows_by_place(), place.num_commits) == (ALL, 2)
    part = store.read("b-00000.parquet")
    texts = pa.array(["changed"] * part.rows.num_rows)
    rows = part.rows.set_column(part.rows.column_names.index("caption"), part.rows.schema.field("caption"), texts)
    store.replace("b-00000.parquet", rows, part.stamp.to_json(), part.version)
    to_the_end(store, A, B, place=place)
    assert (place.rows_by_place(), place.num_commits) == (ALL, 3)
    assert place.rows()["caption"].to_pylist().count("changed") == 3


def test_an_output_that_is_not_complete_is_not_committed(store, place):
    run = begin(store, A)
    publish(store, next(run.plan.units), MINE)
    take_table(place.section, store, MINE, SCHEMA)
    assert not conclude(run.plan, store, MINE, before_success=partial(commit_table, place.section)).passed
    assert open_table(place.section).look() is None


def test_a_table_of_others_is_refused_before_the_run(store, place):
    place.make_foreign()
    with pytest.raises(Refused, match="relabel did not make"):
        take_table(place.section, store, MINE, SCHEMA)


def test_a_table_of_another_recipe_is_refused_before_the_run(store, place):
    to_the_end(store, A, place=place)
    with pytest.raises(Refused, match="the rows of another recipe: name another table"):
        take_table(place.section, store, fingerprint({**RECIPE, "sampling": {"seed": 2}}), SCHEMA)


def reader(num_rows):
    rows = pa.table({"a": list(range(num_rows))}, schema=EMPTY)
    return pa.RecordBatchReader.from_batches(EMPTY, iter(rows.to_batches(max_chunksize=2)))


def test_of_two_writers_who_saw_the_same_version_one_commits(place):
    """Where there was no table, and where there was one."""
    for first, second in (("1", "2"), ("3", "4")):
        one, other = open_table(place.section), open_table(place.section)
        assert one.look() == other.look()
        assert one.replace(reader(5), Mark.of("a" * 15, first * 15))
        assert not other.replace(reader(7), Mark.of("a" * 15, second * 15))
        assert one.look() == other.look() == Mark.of("a" * 15, first * 15)
        assert place.rows().num_rows == 5
        assert other.replace(reader(7), Mark.of("a" * 15, second * 15)), "it has looked again"
        assert place.rows().num_rows == 7


def test_a_part_that_goes_while_it_is_read_commits_nothing(store, place, tmp_path):
    """The old version stays, and `_SUCCESS` is not there beside it."""
    to_the_end(store, A, place=place)
    begin(store, A, B)
    (tmp_path / "out/a-00002.parquet").unlink()
    store.put_json(SUCCESS, {})
    with pytest.raises(StoreFailed, match="cannot commit to"):
        commit_table(place.section, store)
    assert (place.rows().num_rows, place.num_commits) == (10, 1)
    assert store.version(SUCCESS) is None


def test_a_run_without_a_table_forgets_that_of_an_earlier_one(store, place):
    to_the_end(store, A, place=place)
    assert noted_table(store) == place.section
    take_table(None, store, MINE, SCHEMA)
    assert noted_table(store) is None


def test_a_run_at_work_commits_to_its_own_table_whatever_another_one_notes(store, place):
    """One without a table begins, and ends, before it."""
    run = begin(store, A)
    take_table(place.section, store, MINE, SCHEMA)
    take_table(None, store, MINE, SCHEMA)
    for unit in run.plan.units:
        publish(store, unit, MINE)
    for section in (None, place.section):
        assert conclude(run.plan, store, MINE, before_success=partial(commit_table, section)).passed
    assert (place.rows().num_rows, place.num_commits) == (10, 1)


@pytest.mark.parametrize(("format", "package"), [("delta", "deltalake"), ("iceberg", "pyiceberg"), ("lance", "lance")])
def test_a_package_that_is_not_installed_is_named_by_its_extra(monkeypatch, format, package):
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, f"relabel.data.tables.{format}", raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    where = {"name": "a.b"} if format == "iceberg" else {"path": "x"}
    with pytest.raises(SpecError, match=rf"pip install 'ray-relabel\[{format}\]'"):
        open_table(Table.model_validate({"format": format, **where}))


def test_a_damaged_note_is_refused_by_its_name(store):
    store.put_json(NOTE, {"format": "xlsx"})
    with pytest.raises(Refused, match=r"_table\.json is not what this version writes"):
        noted_table(store)
    assert json.dumps(store.read_json(NOTE))


def test_the_table_is_no_part_of_the_recipe(tmp_path):
    fields = {"source": {"path": "a.jsonl", "format": "jsonl"}, "prompt": {"user": "x"}, "model": {"path": "m"}}
    with_table = {"path": "out", "table": {"format": "delta", "path": "x"}}
    recipes = [make_recipe(make_spec({**fields, "output": output}), {}) for output in ({"path": "out"}, with_table)]
    assert recipes[0] == recipes[1]
