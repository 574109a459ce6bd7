import base64
import datetime
import random
import threading

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from relabel.data.sources import read
from relabel.data.sources.unit import Unit
from relabel.errors import SourceUnreadable
from tests.data.builders import (
    columns_of,
    files_of,
    invalid_text,
    read_all,
    source_of,
    units_of,
    write_parquet,
)


def test_rows_kept_columns_and_types(tmp_path):
    write_parquet(
        tmp_path / "a.parquet",
        {
            "id": pa.array([1, 2, None], pa.int32()),
            "text": ["x", None, "ü"],
            "image": [{"bytes": b"\x89", "path": None}, None, {"bytes": None, "path": "p.png"}],
            "tags": [["a"], [], None],
            "when": pa.array([0, 1, 2], pa.timestamp("ms", "UTC")),
        },
    )
    rows, kept = read_all(source_of(tmp_path, "parquet"), ["text", "image", "tags"], ["id", "when"])
    assert rows == [
        (("x", {"bytes": b"\x89", "path": None}, ["a"]), None),
        ((None, None, []), None),
        (("ü", {"bytes": None, "path": "p.png"}, None), None),
    ]
    assert kept.schema.types == [pa.int32(), pa.timestamp("ms", "UTC")]
    assert kept["id"].to_pylist() == [1, 2, None]


def test_the_writer_s_own_arrow_types_are_not_followed(tmp_path):
    table = pa.table({"t": pa.array(["a", "b"]).dictionary_encode(), "u": pa.array(["a", "b"], pa.large_string())})
    write_parquet(tmp_path / "a.parquet", table)
    source = source_of(tmp_path, "parquet")
    assert columns_of(files_of(source)[0], source).types == [pa.string(), pa.string()]


def test_units_read_in_any_order_and_by_several_threads_give_the_same_rows(tmp_path):
    write_parquet(tmp_path / "a.parquet", {"n": range(5000), "t": [f"row {n}" for n in range(5000)]}, group_rows=1700)
    source = source_of(tmp_path, "parquet")
    units = units_of(files_of(source)[0], source, 128)
    assert len(units) == 14 + 14 + 13
    work = units * 3
    random.Random(7).shuffle(work)
    wrong = []

    def check(units):
        for unit in units:
            numbers = list(range(unit.first_row, unit.first_row + unit.num_rows))
            rows = read(unit, source, ["t", "n"], pa.schema([]))
            if rows.columns != {"n": numbers, "t": [f"row {n}" for n in numbers]}:
                wrong.append(unit)

    threads = [threading.Thread(target=check, args=(work[k::3],)) for k in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_unit_of_several_row_groups(tmp_path):
    write_parquet(tmp_path / "a.parquet", {"n": range(100)}, group_rows=7)
    source = source_of(tmp_path, "parquet")
    assert [unit.num_rows for unit in units_of(files_of(source)[0], source, 32)] == [28, 28, 28, 16]
    assert read_all(source, ["n"], unit_rows=32)[0] == [((n,), None) for n in range(100)]


def test_no_column_asked_for(tmp_path):
    write_parquet(tmp_path / "a.parquet", {"n": [1, 2]})
    assert read_all(source_of(tmp_path, "parquet"), [])[0] == [((), None)] * 2


def test_no_rows_no_units(tmp_path):
    write_parquet(tmp_path / "a.parquet", {"n": pa.array([], pa.int64())})
    source = source_of(tmp_path, "parquet")
    assert units_of(files_of(source)[0], source, 8) == []


def test_invalid_utf8_costs_its_row_only(tmp_path):
    text = invalid_text([b"good", b"\xff\xfe", b"fine", b"\xc3"])
    write_parquet(
        tmp_path / "a.parquet", {"id": range(4), "text": text, "tag": invalid_text([b"a", b"b", b"\xff", b"d"])}
    )
    rows, kept = read_all(source_of(tmp_path, "parquet"), ["text"], ["id", "tag"], unit_rows=4)
    bad = "source: column text holds invalid UTF-8"
    assert rows == [(("good",), None), ((None,), bad), (("fine",), None), ((None,), bad)], "of what is asked, not kept"
    assert kept.to_pydict() == {"id": [0, 1, 2, 3], "tag": ["a", "b", None, "d"]}
    kept.validate(full=True)


def test_invalid_utf8_in_a_column_that_is_not_needed_costs_nothing(tmp_path):
    write_parquet(tmp_path / "a.parquet", {"n": [1], "text": invalid_text([b"\xff"])})
    assert read_all(source_of(tmp_path, "parquet"), ["n"])[0] == [((1,), None)]


def test_a_value_that_python_cannot_hold_costs_its_row_only(tmp_path):
    days = pa.array([0, 2**31 - 1], pa.int32()).cast(pa.date32())
    write_parquet(tmp_path / "a.parquet", {"day": days})
    assert read_all(source_of(tmp_path, "parquet"), ["day"])[0] == [
        ((datetime.date(1970, 1, 1),), None),
        ((None,), "source: column day holds a value out of range"),
    ]


def test_a_kept_value_is_cast_and_null_with_a_remark_where_it_would_lose_something(tmp_path):
    write_parquet(tmp_path / "a.parquet", {"id": pa.array([1, 2**60 + 1, None], pa.int64()), "t": ["x"] * 3})
    write_parquet(tmp_path / "b.parquet", {"id": pa.array([2], pa.int16()), "t": ["x"]})
    write_parquet(tmp_path / "c.parquet", {"id": ["3"], "t": ["x"]})
    write_parquet(tmp_path / "d.parquet", {"t": ["x"]})
    source = source_of(tmp_path, "parquet")
    kept = pa.schema([("id", pa.float64())])
    rows = [read(units_of(file, source, 8)[0], source, ["t"], kept) for file in files_of(source)]
    assert [part.kept["id"].to_pylist() for part in rows] == [[1.0, None, None], [2.0], [None], [None]]
    bad = "kept as null: column id is not double"
    assert [part.remarks for part in rows] == [[None, bad, None], [None], [bad], [None]]
    assert all(reason is None for part in rows for reason in part.reasons)


@pytest.mark.parametrize("names", [["other"], ["n", "n"]])
def test_a_file_without_one_such_column_costs_itself(tmp_path, names):
    write_parquet(tmp_path / "a.parquet", pa.table([pa.array([1])] * len(names), names))
    source = source_of(tmp_path, "parquet")
    (unit,) = units_of(files_of(source)[0], source, 8)
    with pytest.raises(SourceUnreadable, match=r"a.parquet has (no|more than one) column n"):
        read(unit, source, ["n"], pa.schema([]))


def test_json_columns_are_text(tmp_path):
    column = pa.ExtensionArray.from_storage(pa.json_(), pa.array(['{"a": 1}']))
    write_parquet(tmp_path / "a.parquet", pa.table({"x": column}))
    assert read_all(source_of(tmp_path, "parquet"), ["x"])[0] == [(('{"a": 1}',), None)]


@pytest.mark.parametrize("part", [0, 0.001, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_named_at_the_scan(tmp_path, part):
    path = write_parquet(tmp_path / "a.parquet", {"n": range(1000)})
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    source = source_of(tmp_path, "parquet")
    with pytest.raises(SourceUnreadable, match=r"a\.parquet"):
        units_of(files_of(source)[0], source, 8)


def test_one_flipped_bit_in_a_page_is_found(tmp_path):
    path = write_parquet(tmp_path / "a.parquet", {"n": range(1000)}, compression="none", use_dictionary=False)
    source = source_of(tmp_path, "parquet")
    found = 0
    content = path.read_bytes()
    for at in range(200, 7800, 400):
        flipped = bytearray(content)
        flipped[at] ^= 1
        path.write_bytes(flipped)
        with pytest.raises(SourceUnreadable, match=r"a\.parquet"):
            read_all(source, ["n"], unit_rows=1000)
        found += 1
    assert found == 19


def test_a_plan_of_more_rows_than_there_are(tmp_path):
    write_parquet(tmp_path / "a.parquet", {"n": range(10)})
    source = source_of(tmp_path, "parquet")
    (file,) = files_of(source)
    with pytest.raises(SourceUnreadable, match="fewer rows"):
        read(Unit(file=file, index=0, first_row=0, num_rows=11), source, ["n"], pa.schema([]))


def test_a_harmful_embedded_schema_is_not_even_parsed(tmp_path):
    metadata = {"ARROW:schema": base64.b64encode(b"not a schema at all" * 10)}
    with pq.ParquetWriter(tmp_path / "a.parquet", pa.schema([("n", pa.int64())]), store_schema=False) as writer:
        writer.add_key_value_metadata(metadata)
        writer.write_table(pa.table({"n": [1]}))
    assert read_all(source_of(tmp_path, "parquet"), ["n"])[0] == [((1,), None)]
