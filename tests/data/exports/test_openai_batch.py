import json
from dataclasses import replace

import pyarrow as pa
import pytest

from relabel.data.exports.openai_batch import export_batch
from relabel.data.output.binding import open_run
from relabel.data.output.recipe import fingerprint
from relabel.data.sources.plan import Plan
from relabel.data.store.store import Store
from relabel.errors import Refused, StoreFailed
from tests.outputs import RECIPE as WITHOUT_ID
from tests.outputs import flip_bit, planned_file, publish, rows_of

A, B = planned_file("a.jsonl", 10), planned_file("b.jsonl", 3)
PLAN = Plan(
    files=(A, B),
    unreadable=(("c.jsonl", "it is empty"),),
    columns=pa.schema([("id", pa.string()), ("custom_id", pa.string())]),
)
RECIPE = {**WITHOUT_ID, "output": {"keep": ["custom_id"]}, "model": {"path": "some/model"}}


class Failing(Store):
    """A store that goes away after its first part."""

    num_reads = 0

    def read(self, part):
        self.num_reads += 1
        if self.num_reads > 1:
            raise StoreFailed("the store is gone")
        return super().read(part)


def begin(store, recipe):
    open_run(store, recipe, unit_rows=4, versions={}, replan=lambda known: PLAN)
    return store


@pytest.fixture
def store(tmp_path):
    store = begin(Store(str(tmp_path / "out")), RECIPE)
    for unit in reversed(list(PLAN.units)):
        publish(store, unit, fingerprint(RECIPE), with_id(unit))
    return store


def with_id(unit, **columns):
    """Rows of a unit with `custom_id`, and other values in some columns."""
    rows = rows_of(unit)
    for name, values in columns.items():
        at = rows.schema.get_field_index(name)
        rows = rows.set_column(at, rows.schema.field(at), pa.array(values, rows.schema.field(at).type))
    return rows.rename_columns(["custom_id" if name == "id" else name for name in rows.column_names])


def lines_of(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_rows_are_in_the_order_of_the_source(store, tmp_path):
    figures = export_batch(store, str(tmp_path / "answers.jsonl"))
    counts = {"rows": 13, "ok": 9, "rejected": 4, "missing": 0, "unreadable": 1, "duplicate_ids": 0}
    assert figures.to_json() == counts
    assert not figures.complete, "a source file is left out"
    expected = [f"{file.file.path}#{row}" for file in PLAN.files for unit in file.units for row in rows_in(unit)]
    assert [line["custom_id"] for line in lines_of(tmp_path / "answers.jsonl")] == expected


def rows_in(unit):
    return range(unit.first_row, unit.first_row + unit.num_rows)


def test_an_answer_and_a_reject(store, tmp_path):
    export_batch(store, str(tmp_path / "answers.jsonl"))
    lines = lines_of(tmp_path / "answers.jsonl")
    body = lines[0]["response"]["body"]
    assert body["model"] == "some/model"
    assert body["choices"][0]["message"] == {"role": "assistant", "content": " label 0 "}
    assert body["usage"] == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    assert lines[3]["response"] is None
    assert lines[3]["error"] == {"code": "image", "message": "image: truncated"}


@pytest.mark.parametrize("harm", ["missing", "damaged", "stale"])
def test_a_part_that_does_not_count_is_left_out_and_told(store, tmp_path, harm):
    unit = A.units[1]
    path = tmp_path / "out" / unit.part
    if harm == "damaged":
        flip_bit(path, 40)
    else:
        path.unlink()
    if harm == "stale":
        publish(store, unit, "another recipe", with_id(unit))
    figures = export_batch(store, str(tmp_path / "answers.jsonl"))
    assert (figures.rows, figures.missing) == (9, 1)
    assert not figures.complete
    assert len(lines_of(tmp_path / "answers.jsonl")) == 9


def test_ids_that_are_there_twice_are_counted(tmp_path):
    """Also across parts; a row without an id has none twice."""
    plan = replace(PLAN, files=(A,), unreadable=())
    store = Store(str(tmp_path / "out"))
    open_run(store, RECIPE, unit_rows=4, versions={}, replan=lambda known: plan)
    for unit, ids in zip(A.units, (["a", "b", "a", None], ["c", "a", "d", None], ["e", "c"]), strict=True):
        publish(store, unit, fingerprint(RECIPE), with_id(unit, id=ids))
    figures = export_batch(store, str(tmp_path / "answers.jsonl"))
    assert (figures.rows, figures.duplicate_ids, figures.complete) == (10, 3, True)


def test_a_text_with_any_characters_is_one_line(store, tmp_path):
    unit = A.units[0]
    (tmp_path / "out" / unit.part).unlink()
    text = "a\nb\u2028c\r\0\u00e9\U0001f600"
    publish(store, unit, fingerprint(RECIPE), with_id(unit, text=[text, "b", "c", None]))
    export_batch(store, str(tmp_path / "answers.jsonl"))
    lines = lines_of(tmp_path / "answers.jsonl")
    assert len(lines) == 13
    assert lines[0]["response"]["body"]["choices"][0]["message"]["content"] == text


def test_an_old_file_stays_whole_where_the_new_one_fails(store, tmp_path):
    path = tmp_path / "answers.jsonl"
    path.write_text("old")
    with pytest.raises(StoreFailed, match="the store is gone"):
        export_batch(Failing(store.url), str(path))
    assert path.read_text() == "old"
    assert sorted(child.name for child in tmp_path.iterdir()) == ["answers.jsonl", "out"]


def test_a_folder_that_is_not_there_is_a_sentence(store, tmp_path):
    with pytest.raises(StoreFailed, match="No such file or directory"):
        export_batch(store, str(tmp_path / "nowhere/answers.jsonl"))


def test_an_output_without_ids_is_refused_with_the_way_out(tmp_path):
    store = begin(Store(str(tmp_path / "out")), WITHOUT_ID)
    with pytest.raises(Refused, match=r"no column custom_id.*name it in output\.keep"):
        export_batch(store, str(tmp_path / "answers.jsonl"))
    assert not (tmp_path / "answers.jsonl").exists()


def test_several_labels_have_no_one_answer(tmp_path):
    labels = [{"name": "a", "parse": "text"}, {"name": "b", "parse": "text"}]
    store = begin(Store(str(tmp_path / "out")), RECIPE | {"labels": labels})
    with pytest.raises(Refused, match="several labels a row"):
        export_batch(store, str(tmp_path / "answers.jsonl"))


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(Refused, match="no run was begun"):
        export_batch(Store(str(tmp_path)), str(tmp_path / "answers.jsonl"))


@pytest.mark.parametrize("damage", [3, "text", [1], {"path": 3, "keep": ["nowhere"], "num_samples": 0}])
@pytest.mark.parametrize("section", ["output", "model", "label", "labels", "sampling"])
def test_a_damaged_recipe_is_refused_by_its_document(store, tmp_path, section, damage):
    document = store.read_json("_run.json")
    document["recipe"][section] = damage
    store.put_json("_run.json", document)
    with pytest.raises(Refused, match=r"_run\.json has a recipe that is not what this version writes"):
        export_batch(store, str(tmp_path / "answers.jsonl"))


def test_a_part_without_a_column_of_an_answer_does_not_count(store, tmp_path):
    store.delete(A.units[0].part)
    publish(store, A.units[0], fingerprint(RECIPE), with_id(A.units[0]).drop_columns(["finish_reason"]))
    assert export_batch(store, str(tmp_path / "answers.jsonl")).missing == 1
