"""JSON that is no line an object: arrays on one line or indented, objects over several lines, and what is no data."""

import json
import random

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relabel.data.sources import read, scan
from relabel.data.sources.planning import make_plan
from relabel.errors import SourceUnreadable
from tests.data.builders import files_of, read_all, source_of, units_of, write_bytes, write_json

RECORDS = [{"id": n, "t": f'tëxt "{n}" [x] {{}},', "tags": [n, {"a": None}]} for n in range(7)]
FORMS = {
    "an array on one line": json.dumps(RECORDS),
    "an indented array": json.dumps(RECORDS, indent=2),
    "an array with an object a line": "[\n" + ",\n".join(map(json.dumps, RECORDS)) + "\n]\n",
    "an array with a byte order mark": "\ufeff" + json.dumps(RECORDS, ensure_ascii=False),
    "indented objects": "\n".join(json.dumps(record, indent=4) for record in RECORDS),
    "lines ended by carriage returns": "\r".join(map(json.dumps, RECORDS)),
    "lines ended by both": "\r\n".join(map(json.dumps, RECORDS)),
    "objects on one line": "".join(map(json.dumps, RECORDS)),
    "objects on one line with spaces": " ".join(map(json.dumps, RECORDS)) + "\n",
}


@pytest.mark.parametrize("name", ["a.json", "a.json.gz", "a.json.zst"])
@pytest.mark.parametrize("form", FORMS)
def test_rows(tmp_path, name, form):
    write_bytes(tmp_path / name, FORMS[form].encode())
    rows, kept = read_all(source_of(tmp_path, "jsonl"), ["t", "tags"], ["id"], unit_rows=2)
    assert rows == [((record["t"], record["tags"]), None) for record in RECORDS]
    assert kept["id"].to_pylist() == list(range(7))


@pytest.mark.parametrize(
    "form", ["an indented array", "indented objects", "an array on one line", "objects on one line"]
)
def test_they_are_read_under_any_suffix(tmp_path, form):
    write_bytes(tmp_path / "a.jsonl", FORMS[form].encode())
    assert len(read_all(source_of(tmp_path, "jsonl"), ["t"])[0]) == 7


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_units_in_any_order_of_a_file_of_several_windows(tmp_path, suffix):
    records = [{"n": n, "t": "ü" * 3000} for n in range(1000)]
    write_bytes(tmp_path / f"a.json{suffix}", json.dumps(records, indent=1, ensure_ascii=False).encode())
    source = source_of(tmp_path, "jsonl")
    units = units_of(files_of(source)[0], source, 64)
    for unit in random.Random(3).sample(units, len(units)):
        numbers = list(range(unit.first_row, unit.first_row + unit.num_rows))
        assert read(unit, source, ["n"], pa.schema([])).columns["n"] == numbers


BROKEN = {
    "cut short": (b'[{"id": 1}, {"id"', "damaged or cut short"),
    "cut after a comma": (b'[{"id": 1},', "cut short"),
    "cut between": (b'[{"id": 1}', "cut short"),
    "no comma": (b'[{"id": 1} {"id": 2}]', "no comma"),
    "a comma too many": (b'[{"id": 1},]', "comma behind its last"),
    "arrays joined": (b'[{"id": 1}]\n[{"id": 2}]', "goes on after"),
    "an array of numbers": (b"[1, 2, 3]", "not of objects"),
    "an indented array of arrays": (b"[\n[1],\n[2]\n]", "not of objects"),
    "utf-16": ('[{"id": 1}]'.encode("utf-16"), "UTF-16"),
    "utf-16 without a mark": ('[{"id": 1}]'.encode("utf-16-le"), "UTF-16"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_document_that_is_none_is_named_with_what_it_is(tmp_path, name):
    content, why = BROKEN[name]
    write_bytes(tmp_path / "a.json", content)
    source = source_of(tmp_path, "jsonl")
    with pytest.raises(SourceUnreadable, match=f"a.json cannot be read: .*{why}"):
        scan(files_of(source)[0], source, 8)


def test_an_element_that_is_no_object_costs_itself(tmp_path):
    write_bytes(tmp_path / "a.json", b'[{"t": "x"}, 7, ["y"], {"t": "z"}]')
    bad = ((None,), "source: not a JSON object")
    assert read_all(source_of(tmp_path, "jsonl"), ["t"])[0] == [(("x",), None), bad, bad, (("z",), None)]


def test_metadata_beside_data_is_no_row_and_a_file_without_one_is_named(tmp_path):
    info = json.dumps({"features": {"id": {"dtype": "int64"}}, "splits": {}}, indent=2).encode()
    for name in ("dataset_info.json", "x/state.json", "dataset_dict.json", "about.json"):
        write_bytes(tmp_path / name, info)
    write_bytes(tmp_path / "empty.json", b"[]")
    write_json(tmp_path / "a.jsonl", [{"id": 1}, {"id": 2}])
    plan = make_plan(source_of(tmp_path, "jsonl"), 8)
    assert (plan.num_rows, plan.columns.names, plan.unreadable) == (2, ["id"], ())
    assert plan.passed_over == {"dataset_info.json": 1, "state.json": 1, "dataset_dict.json": 1}
    note = "it is one JSON object over several lines; write a row on one line if it is one"
    assert plan.notes == (f"about.json has no rows: {note}", "empty.json has no rows")


TABLES = {
    "lists": {"t": ["x", "y"], "id": [1, 2]},
    "as pandas writes columns": {"t": {"0": "x", "1": "y"}, "id": {"0": 1, "1": 2}},
    "by keys of rows": {"r1": {"t": "x", "id": 1}, "r2": {"t": "y", "id": 2}},
}


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("table", TABLES)
def test_a_table_by_columns_may_be_one_row_or_many_and_is_refused(tmp_path, table, indent):
    write_bytes(tmp_path / "a.json", json.dumps(TABLES[table], indent=indent).encode())
    plan = make_plan(source_of(tmp_path, "jsonl"), 8, needed={"t"})
    ((path, why),) = plan.unreadable
    assert (plan.num_rows, path) == (0, "a.json")
    assert "a table by columns: write an object for each row" in why


@pytest.mark.parametrize("indent", [None, 1])
def test_an_object_around_its_rows_is_no_row_unless_what_holds_them_is_read(tmp_path, indent):
    write_bytes(tmp_path / "a.json", json.dumps({"version": "2", "data": RECORDS}, indent=indent).encode())
    source = source_of(tmp_path, "jsonl")
    (note,) = make_plan(source, 8, needed={"t"}).notes
    assert note.endswith("it is one JSON object, with a list of objects under 'data': write that list as a file")
    assert make_plan(source, 8, needed={"data"}).num_rows == (0 if indent else 1)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"{'t': 'x'}\n{'t': 'y'}\n", "not a line of JSON"),
        ('{"t": "caf\u00e9"}\n'.encode("latin-1"), "invalid UTF-8"),
        (b'["t"]\n["x"]\n', "not a JSON object"),
        (b'{"t": "x"},\n{"t": "y"},\n', "not a line of JSON"),
    ],
)
def test_of_a_file_without_one_object_is_said_what_its_first_record_is(tmp_path, content, why):
    write_bytes(tmp_path / "a.jsonl", content)
    plan = make_plan(source_of(tmp_path, "jsonl"), 8, needed={"t"})
    assert plan.num_rows == content.count(b"\n")
    assert plan.notes == (f"a.jsonl: not one of its records has columns; of the first: {why}",)


LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=4)
OBJECTS = st.dictionaries(st.text(max_size=3), LEAVES | st.lists(LEAVES, max_size=2), max_size=3)


@settings(max_examples=60, deadline=None)
@given(records=st.lists(OBJECTS, min_size=2, max_size=5), indent=st.sampled_from([None, 0, 1, "\t"]), raw=st.booleans())
def test_an_array_gives_the_rows_that_lines_give(tmp_path_factory, records, indent, raw):
    root = tmp_path_factory.mktemp("source")
    records = json.loads(json.dumps(records))
    text = json.dumps([{"r": record} for record in records], indent=indent, ensure_ascii=raw)
    write_bytes(root / "a.json", text.encode())
    assert read_all(source_of(root, "jsonl"), ["r"], unit_rows=2)[0] == [((record,), None) for record in records]
