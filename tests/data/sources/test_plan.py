import dataclasses
import json
import os

import pyarrow as pa
import pytest

from relabel.data.sources import read
from relabel.data.sources.cutting import Cut
from relabel.data.sources.plan import Plan
from relabel.data.sources.planning import make_plan
from relabel.errors import SourceChanged
from tests.data.builders import source_of, write_bytes, write_json, write_parquet


def write_files(root, *names, rows=10):
    for name in names:
        write_parquet(root / f"{name}.parquet", {"id": range(rows)})


def paths(plan):
    return [planned.file.path for planned in plan.files]


def test_a_plan_tiles_the_rows_of_every_file(tmp_path):
    write_files(tmp_path, "a", rows=10)
    write_files(tmp_path, "sub/b", rows=3)
    plan = make_plan(source_of(tmp_path, "parquet"), 4)
    assert [(unit.part, unit.first_row, unit.num_rows) for unit in plan.units] == [
        ("a-00000.parquet", 0, 4),
        ("a-00001.parquet", 4, 4),
        ("a-00002.parquet", 8, 2),
        ("sub/b-00000.parquet", 0, 3),
    ]
    assert (plan.num_units, plan.num_rows) == (4, 13)
    assert plan.columns == pa.schema([("id", pa.int64())])
    assert plan.unreadable == ()


def test_whoever_waits_is_told_of_each_file(tmp_path):
    for name in "abc":
        (tmp_path / f"{name}.jsonl").write_text('{"id": 1}\n')
    told = list[tuple[int, int]]()
    make_plan(source_of(tmp_path, "jsonl"), 4, on_planned=lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_a_plan_survives_json(tmp_path):
    write_json(tmp_path / "a.jsonl", [{"id": n, "t": "ü"} for n in range(9)])
    (tmp_path / "b.jsonl.gz").write_bytes(b"no archive")
    plan = make_plan(source_of(tmp_path, "jsonl"), 2)
    assert len(plan.unreadable) == 1
    assert Plan.from_json(plan.to_json()) == plan


def test_a_broken_file_is_named_and_costs_only_itself(tmp_path):
    write_files(tmp_path, "a", "c")
    write_bytes(tmp_path / "b.parquet", b"broken")
    plan = make_plan(source_of(tmp_path, "parquet"), 4)
    assert paths(plan) == ["a.parquet", "c.parquet"]
    ((path, why),) = plan.unreadable
    assert path == "b.parquet"
    assert str(tmp_path / "b.parquet") in why


def test_a_broken_file_is_tried_again_and_the_first_columns_stay(tmp_path):
    write_bytes(tmp_path / "a.parquet", b"broken")
    write_files(tmp_path, "b")
    source = source_of(tmp_path, "parquet")
    known = Plan.from_json(make_plan(source, 4).to_json())
    write_parquet(tmp_path / "a.parquet", {"id": pa.array([1], pa.int32())})
    plan = make_plan(source, 4, known)
    assert paths(plan) == ["a.parquet", "b.parquet"]
    assert plan.unreadable == ()
    assert plan.columns == known.columns


def test_columns_are_those_of_all_files(tmp_path):
    write_json(tmp_path / "a.jsonl", [])
    write_json(tmp_path / "b.jsonl", [{"id": 1}])
    write_json(tmp_path / "c.jsonl", [{"id": 1, "late": "x"}])
    assert make_plan(source_of(tmp_path, "jsonl"), 4).columns.names == ["id", "late"]


def test_a_source_of_broken_files_only_has_no_columns(tmp_path):
    write_bytes(tmp_path / "a.parquet", b"broken")
    plan = make_plan(source_of(tmp_path, "parquet"), 4)
    assert (plan.files, plan.columns) == ((), pa.schema([]))


def test_what_is_known_is_not_scanned_again(tmp_path):
    """A unit that no scan would cut comes through, so it came from the known plan."""
    write_files(tmp_path, "a")
    source = source_of(tmp_path, "parquet")
    known = make_plan(source, 4)
    (planned,) = known.files
    odd = dataclasses.replace(planned, units=Cut(planned.file, [(0, 3, 0)]))
    write_files(tmp_path, "b")
    plan = make_plan(source, 4, dataclasses.replace(known, files=(odd,)))
    assert [unit.num_rows for unit in plan.units] == [3, 4, 4, 2]


def test_a_source_that_moved_is_read_at_its_new_place(tmp_path):
    write_files(tmp_path / "old", "a")
    known = make_plan(source_of(tmp_path / "old", "parquet"), 4)
    (tmp_path / "old").rename(tmp_path / "new")
    plan = make_plan(source_of(tmp_path / "new", "parquet"), 4, known)
    assert {unit.file.url for unit in plan.units} == {str(tmp_path / "new/a.parquet")}
    assert plan == make_plan(source_of(tmp_path / "new", "parquet"), 4)


def test_a_changed_file_is_refused_by_name(tmp_path):
    write_files(tmp_path, "a", "b")
    source = source_of(tmp_path, "parquet")
    known = make_plan(source, 4)
    write_files(tmp_path, "b", rows=500)
    with pytest.raises(SourceChanged, match=r": b\.parquet; run with --redo-changed"):
        make_plan(source, 4, known)


def test_a_file_of_another_time_that_is_cut_as_it_was_is_touched_until_it_may_be_labelled_anew(tmp_path):
    write_files(tmp_path, "a", "b")
    source = source_of(tmp_path, "parquet")
    known = make_plan(source, 4)
    os.utime(tmp_path / "b.parquet", ns=(1, 1))
    touched = make_plan(source, 4, known)
    assert [planned.file.state for planned in touched.files] == ["there", "touched"]
    assert {unit.file.version for unit in touched.files[1].units} == {"1"}
    assert make_plan(source, 4, Plan.from_json(json.loads(json.dumps(touched.to_json())))) == touched
    anew = make_plan(source, 4, touched, redo_changed=True)
    assert [planned.file.state for planned in anew.files] == ["there", "there"]


def test_of_many_changed_files_five_are_named(tmp_path):
    names = [f"f{k}" for k in range(8)]
    write_files(tmp_path, *names)
    source = source_of(tmp_path, "parquet")
    known = make_plan(source, 4)
    write_files(tmp_path, *names, rows=500)
    with pytest.raises(SourceChanged, match=r"f0\.parquet, .*f4\.parquet and 3 more;"):
        make_plan(source, 4, known)


def test_a_changed_file_is_redone_where_that_is_asked_for(tmp_path):
    write_files(tmp_path, "a", "b")
    source = source_of(tmp_path, "parquet")
    known = make_plan(source, 4)
    write_files(tmp_path, "b", rows=3)
    plan = make_plan(source, 4, known, redo_changed=True)
    assert [unit.num_rows for unit in plan.units] == [4, 4, 2, 3]


@pytest.mark.parametrize("redo_changed", [False, True])
def test_a_vanished_file_is_refused_kept_or_left_out_as_the_source_says(tmp_path, redo_changed):
    write_files(tmp_path, "a", "b")
    source = source_of(tmp_path, "parquet")
    known = make_plan(source, 4)
    (tmp_path / "b.parquet").unlink()
    kept = make_plan(source, 4, known, redo_changed)
    assert (kept.gone, kept.num_units, kept.dropped) == (("b.parquet",), known.num_units, ())
    refuses = source.model_copy(update={"removed": "refuse"})
    with pytest.raises(SourceChanged, match=r"gone .*: b\.parquet;"):
        make_plan(refuses, 4, known, redo_changed)
    assert make_plan(refuses, 4, kept, redo_changed) == kept, "what was accepted once stays so"
    dropped = make_plan(source.model_copy(update={"removed": "drop"}), 4, kept, redo_changed)
    assert (paths(dropped), dropped.dropped) == (["a.parquet"], ("b.parquet",))


@pytest.mark.parametrize("redo_changed", [False, True])
def test_a_changed_file_that_cannot_be_read_is_named_and_stays_as_it_was_known(tmp_path, redo_changed):
    write_files(tmp_path, "a", "b")
    source = source_of(tmp_path, "parquet")
    known = make_plan(source, 4)
    write_bytes(tmp_path / "b.parquet", b"broken")
    plan = make_plan(source, 4, known, redo_changed=redo_changed)
    assert plan.files == known.files
    assert [path for path, _ in plan.unreadable] == ["b.parquet"]


@pytest.mark.parametrize("redo_changed", [False, True])
def test_a_parquet_file_with_the_same_rows_in_other_row_groups_has_the_same_units(tmp_path, redo_changed):
    source = source_of(tmp_path, "parquet")
    write_parquet(tmp_path / "a.parquet", {"n": list(range(10))}, group_rows=3)
    known = make_plan(source, 4)
    write_parquet(tmp_path / "a.parquet", {"n": list(range(10))}, group_rows=10, compression="gzip")
    again = make_plan(source, 4, known, redo_changed=redo_changed)
    units = [[(unit.first_row, unit.num_rows) for unit in plan.units] for plan in (known, again)]
    assert units[0] == units[1] == [(0, 3), (3, 3), (6, 4)]
    assert [read(unit, source, ["n"], pa.schema([])).columns["n"] for unit in again.units] == [
        [0, 1, 2],
        [3, 4, 5],
        [6, 7, 8, 9],
    ]
