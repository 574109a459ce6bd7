import base64
import json
from dataclasses import replace

import pyarrow as pa
import pytest

from relabel.data.output.binding import open_run
from relabel.data.output.manifest import RUN, read_run
from relabel.data.output.recipe import fingerprint
from relabel.data.store.store import Store
from relabel.errors import Refused
from tests.data.output.recipes import A, B, C
from tests.outputs import RECIPE, SCHEMA, begin, make_plan, planned_file


def documents(folder) -> list[str]:
    return sorted(path.name for path in folder.glob("_*.json"))


def test_a_run_is_written_down_and_read_again(store):
    assert read_run(store) is None
    begun = begin(store, A, B)
    assert read_run(store) == begun
    assert begun.fingerprint == fingerprint(RECIPE)
    assert (begun.unit_rows, begun.versions, begun.recipe) == (4, {"ray": "2.60"}, RECIPE)
    assert begun.schema.equals(SCHEMA)


def test_going_on_writes_nothing_when_nothing_is_new(tmp_path):
    store = Store(str(tmp_path))
    assert begin(store, A) == begin(store, A)
    assert documents(tmp_path) == ["_run.json"]


def test_going_on_gets_the_known_plan(tmp_path):
    store, seen = Store(str(tmp_path)), []

    def replan(known):
        seen.append(known and known.plan)
        return make_plan(A)

    for _ in range(2):
        open_run(store, RECIPE, unit_rows=4, versions={}, replan=replan)
    assert seen == [None, make_plan(A)]


def test_new_files_are_appended_and_change_no_earlier_document(tmp_path):
    store = Store(str(tmp_path))
    begin(store, A)
    first = (tmp_path / "_run.json").read_bytes()
    begin(store, A, B)
    begin(store, A, B, C)
    assert documents(tmp_path) == ["_plan-00001.json", "_plan-00002.json", "_run.json"]
    assert (tmp_path / "_run.json").read_bytes() == first
    (entry,) = json.loads((tmp_path / "_plan-00002.json").read_text())["plan"]["files"]
    assert entry["path"] == "c.parquet"
    assert read_run(store).plan == make_plan(A, B, C)


def test_a_file_that_is_planned_again_overrides_itself(store):
    newer = planned_file("a.parquet", 12, version="2")
    begin(store, A, B)
    begin(store, newer, B)
    assert read_run(store).plan == make_plan(newer, B)


def test_a_file_that_is_left_out_is_forgotten_and_may_come_back(store):
    why = (("a.parquet", "truncated"),)
    begin(store, A, B)
    begin(store, B, unreadable=why)
    assert read_run(store).plan == make_plan(B, unreadable=why)
    begin(store, A, B)
    assert read_run(store).plan == make_plan(A, B)


def test_what_was_just_written_is_not_read_back_and_is_what_others_read(tmp_path):
    class Counting(Store):
        def read_json(self, name):
            read.append(name)
            return super().read_json(name)

    read, store = [], Counting(str(tmp_path))
    run = begin(store, A, B)
    assert RUN not in read
    assert read_run(store) == read_run(Store(str(tmp_path))) == run
    assert RUN not in read


def test_another_way_to_the_same_files_is_no_change_of_plan(tmp_path):
    file = replace(A.file, url="s3://moved/a.parquet")
    moved = replace(A, file=file, units=A.units.at(file))
    store = Store(str(tmp_path))
    begin(store, A)
    assert begin(store, moved).plan == make_plan(moved), "the new way is the one to read by"
    assert documents(tmp_path) == ["_run.json"]


def test_columns_stay_when_files_are_added(tmp_path):
    store, wider = Store(str(tmp_path)), pa.schema([("id", pa.int64())])
    begin(store, A)
    plan = replace(make_plan(A, B), columns=wider)
    open_run(store, RECIPE, unit_rows=4, versions={}, replan=lambda known: plan)
    assert read_run(store).schema.equals(SCHEMA)


def test_columns_are_those_of_the_first_file_that_could_be_read(tmp_path):
    store = Store(str(tmp_path))
    nothing = replace(make_plan(unreadable=(("a.parquet", "truncated"),)), columns=pa.schema([]))
    open_run(store, RECIPE, unit_rows=4, versions={}, replan=lambda known: nothing)
    begin(store, A)
    assert read_run(store).schema.equals(SCHEMA)


@pytest.mark.parametrize("damage", ["", "{", "[]", "{}", '{"fingerprint": "x"}'])
def test_a_damaged_document_is_refused(tmp_path, damage):
    (tmp_path / "_run.json").write_text(damage)
    with pytest.raises(Refused, match=r"_run.json"):
        begin(Store(str(tmp_path)), A)


def test_the_document_can_be_read_by_people_and_other_programs(tmp_path):
    begin(Store(str(tmp_path)), A)
    document = json.loads((tmp_path / "_run.json").read_text())
    assert document["recipe"]["sampling"] == {"seed": 1}
    assert document["plan"]["files"][0]["units"] == [[0, 4, 0], [4, 4, 0], [8, 2, 0]]
    assert pa.ipc.read_schema(pa.py_buffer(base64.b64decode(document["plan"]["columns"]))).names == ["id", "alt"]


def test_a_year_of_nights_is_read_as_one_plan(tmp_path):
    """Each night a file comes and the oldest of thirty goes: 365 changes, read side by side, and once by a process."""
    store, nights = Store(str(tmp_path)), [planned_file(f"{night:03d}.parquet", 4) for night in range(366)]
    for night in range(366):
        begin(store, *nights[max(0, night - 30) : night + 1])
    run = read_run(Store(str(tmp_path)))
    assert run == read_run(store)
    assert (run.num_documents, run.plan.files) == (366, tuple(nights[-31:]))
    assert run.former_parts == {unit.part for planned in nights[:-31] for unit in planned.units}
    assert read_run(store).plan is read_run(store).plan
