import json
import random

import pyarrow as pa
import pytest

from relabel.data.sources import files, read
from relabel.data.sources.planning import make_plan
from relabel.errors import SourceUnreadable
from tests.data.builders import (
    files_of,
    read_all,
    source_of,
    units_of,
    write_bytes,
    write_json,
    write_lines,
)

SUFFIXES = [".jsonl", ".jsonl.gz", ".jsonl.zst", ".ndjson", ".json"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_rows(tmp_path, suffix):
    write_json(tmp_path / f"a{suffix}", [{"id": n, "t": f"tëxt {n}"} for n in range(10)])
    rows, kept = read_all(source_of(tmp_path, "jsonl"), ["t"], ["id"])
    assert rows == [((f"tëxt {n}",), None) for n in range(10)]
    assert kept["id"].to_pylist() == list(range(10))


@pytest.mark.parametrize("suffix", SUFFIXES[:3])
def test_units_in_any_order(tmp_path, suffix):
    write_json(tmp_path / f"a{suffix}", [{"n": n} for n in range(1000)])
    source = source_of(tmp_path, "jsonl")
    units = units_of(files_of(source)[0], source, 64)
    assert sum(unit.num_rows for unit in units) == 1000
    for unit in random.Random(3).sample(units * 2, len(units) * 2):
        assert read(unit, source, ["n"], pa.schema([])).columns["n"] == list(
            range(unit.first_row, unit.first_row + unit.num_rows)
        )


def test_equal_and_null_keys_are_rows_like_any_other(tmp_path):
    keys = ["same", "same", None, None, "other"]
    write_json(tmp_path / "a.jsonl", [{"id": key, "t": f"text {n}"} for n, key in enumerate(keys)])
    rows, kept = read_all(source_of(tmp_path, "jsonl"), ["t"], ["id"])
    assert rows == [((f"text {n}",), None) for n in range(5)]
    assert kept["id"].to_pylist() == keys


@pytest.mark.parametrize("suffix", SUFFIXES[:3])
def test_bad_lines_cost_themselves_and_blank_lines_are_no_rows(tmp_path, suffix):
    lines = [
        b'\xef\xbb\xbf{"t": "with a byte order mark"}',
        b"",
        b'{"t": "cut',
        b'["t"]',
        b'{"t": "\xff"}',
        b"  \r",
        b"[" * 100_000,
        b'{"t": "\\ud83d half a pair"}',
        b'{"t": "\\ud83d\\ude00"}',
        b'{"other": 1}',
        b'{"t": null}\r',
        b'{"t": ' + b"9" * 5000 + b"}",
    ]
    write_lines(tmp_path / f"a{suffix}", lines)
    rows, _ = read_all(source_of(tmp_path, "jsonl"), ["t"], unit_rows=2)
    assert rows == [
        (("with a byte order mark",), None),
        ((None,), "source: not a line of JSON"),
        ((None,), "source: not a JSON object"),
        ((None,), "source: invalid UTF-8"),
        ((None,), "source: not a line of JSON"),
        ((None,), "source: column t holds invalid UTF-8"),
        (("😀",), None),
        ((None,), None),
        ((None,), None),
        ((None,), "source: not a line of JSON"),
    ]


def test_a_deeply_nested_line_is_a_value_or_a_bad_row(tmp_path):
    deep = '{"t": ' + "[" * 900 + "]" * 900 + "}"
    write_lines(tmp_path / "a.jsonl", ['{"t": "x"}', deep])
    rows, kept = read_all(source_of(tmp_path, "jsonl"), ["t"], ["t"])
    assert len(rows) == kept.num_rows == 2


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.zst"])
def test_a_line_over_the_limit_costs_itself(tmp_path, suffix):
    size = files.MAX_ROW_BYTES
    long = b'{"t": "' + b"x" * (2 * size) + b'"}'
    just = b'{"t": "' + b"y" * (size - 10) + b'"}'
    assert len(just) + 1 == size
    write_lines(tmp_path / f"a{suffix}", [b'{"t": "before"}', long, just, b'{"t": "after"}'])
    rows, _ = read_all(source_of(tmp_path, "jsonl"), ["t"], unit_rows=1)
    assert [why for _, why in rows] == [None, "source: a line of more than 64 MiB", None, None]
    assert len(rows[2][0][0]) == size - 10
    assert rows[3][0] == ("after",)


def test_a_last_line_without_an_end(tmp_path):
    write_bytes(tmp_path / "a.jsonl", b'{"n": 1}\n{"n": 2}')
    assert read_all(source_of(tmp_path, "jsonl"), ["n"])[0] == [((1,), None), ((2,), None)]


def test_an_empty_file_has_no_units(tmp_path):
    write_bytes(tmp_path / "a.jsonl", b"")
    write_bytes(tmp_path / "b.jsonl.gz", b"")
    source = source_of(tmp_path, "jsonl")
    assert [units_of(file, source, 2) for file in files_of(source)] == [[], []]


@pytest.mark.parametrize("suffix", SUFFIXES[1:3])
@pytest.mark.parametrize("part", [0, 0.1, 0.9, 0.999])
def test_a_truncated_archive_is_named_at_the_scan(tmp_path, suffix, part):
    path = write_json(tmp_path / f"a{suffix}", [{"t": random.Random(n).random()} for n in range(5000)])
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    source = source_of(tmp_path, "jsonl")
    with pytest.raises(SourceUnreadable, match=rf"a\{suffix}"):
        units_of(files_of(source)[0], source, 8)


def test_what_is_no_archive_is_named(tmp_path):
    (tmp_path / "a.jsonl.gz").write_bytes(b'{"n": 1}\n')
    source = source_of(tmp_path, "jsonl")
    with pytest.raises(SourceUnreadable, match=r"a\.jsonl\.gz"):
        units_of(files_of(source)[0], source, 8)


def test_types_of_kept_columns(tmp_path):
    records = [
        {"b": True, "i": 1, "f": 1, "s": "x", "mixed": 1, "nested": {"a": 1}, "big": 2**70, "null": None},
        {"b": None, "i": None, "f": 2.5, "s": "y", "mixed": "1", "nested": [1], "late": 1.0},
    ]
    write_json(tmp_path / "a.jsonl", records)
    source = source_of(tmp_path, "jsonl")
    columns = make_plan(source, 8).columns
    kinds = {field.name: str(field.type) for field in columns}
    assert kinds == {
        "b": "bool", "i": "int64", "f": "double", "s": "string", "late": "double",
        "mixed": "string", "nested": "string", "big": "string", "null": "string",
    }  # fmt: skip
    _, kept = read_all(source, [], columns.names)
    assert kept.to_pylist() == [
        {"b": True, "i": 1, "f": 1.0, "s": "x", "mixed": "1", "nested": '{"a": 1}', "big": str(2**70), "null": None}
        | {"late": None},
        {
            "b": None,
            "i": None,
            "f": 2.5,
            "s": "y",
            "mixed": "1",
            "nested": "[1]",
            "big": None,
            "null": None,
            "late": 1.0,
        },
    ]


def test_a_kept_column_of_many_types_is_json_text(tmp_path):
    write_json(tmp_path / "a.jsonl", [{"id": 1, "x": 0.5, "b": True, "t": "a"}])
    wrong = [{"id": "2"}, {"id": 2**63}, {"id": True}, {"id": 1.0}, {"x": "a"}, {"x": True}, {"b": 1}, {"x": 10**400}]
    write_json(tmp_path / "b.jsonl", [{"t": "b"} | record for record in wrong] + [{"id": 3, "x": 1, "t": "c"}])
    rows, kept = read_all(source_of(tmp_path, "jsonl"), ["t"], ["id", "x", "b"])
    assert rows == [(("a",), None), *[(("b",), None)] * 8, (("c",), None)]
    assert kept.schema.types == [pa.string(), pa.string(), pa.string()], "no other type holds both"
    assert kept["id"].to_pylist() == ["1", "2", str(2**63), "true", "1.0", *[None] * 4, "3"]


def test_a_bad_row_keeps_what_is_sound_of_it(tmp_path):
    write_lines(tmp_path / "a.jsonl", ['{"id": 1, "t": "\\ud800"}'])
    rows, kept = read_all(source_of(tmp_path, "jsonl"), ["t"], ["id", "t"])
    assert rows == [((None,), "source: column t holds invalid UTF-8")]
    assert kept.to_pylist() == [{"id": 1, "t": None}]


def test_a_kept_value_that_its_type_does_not_hold_is_null_with_a_remark_and_costs_no_label(tmp_path):
    """As when a file that came later has other values than those that fixed the types."""
    kept = pa.schema([("id", pa.int64()), ("x", pa.float64()), ("b", pa.bool_())])
    wrong = [
        {"id": "2"},
        {"id": 2**63},
        {"id": True},
        {"x": "a"},
        {"x": True},
        {"b": 1},
        {"x": 10**400},
        {"x": 2**53 + 1},
    ]
    write_json(tmp_path / "a.jsonl", [{"t": "b"} | record for record in [*wrong, {"id": 2.0, "x": 1}]])
    source = source_of(tmp_path, "jsonl")
    (unit,) = units_of(files_of(source)[0], source, 100)
    rows = read(unit, source, ["t"], kept)
    assert (rows.columns, rows.reasons) == ({"t": ["b"] * 9}, [None] * 9)
    kinds = ["id is not int64"] * 3 + ["x is not double"] * 2 + ["b is not bool"] + ["x is not double"] * 2
    assert rows.remarks == [*(f"kept as null: column {kind}" for kind in kinds), None]
    assert rows.kept.to_pylist() == [*[{"id": None, "x": None, "b": None}] * 8, {"id": 2, "x": 1.0, "b": None}]


def test_row_text_is_never_in_a_reason(tmp_path):
    write_lines(
        tmp_path / "a.jsonl", [b"canary", b'{"t": "canary\xff"}', b'"canary"', json.dumps({"t": "\ud800canary"})]
    )
    rows, _ = read_all(source_of(tmp_path, "jsonl"), ["t"])
    assert len(rows) == 4
    assert not any("canary" in why for _, why in rows)
