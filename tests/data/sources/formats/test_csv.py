import random

import pyarrow as pa
import pytest

from relabel.data.sources import read
from relabel.errors import SourceUnreadable
from tests.data.builders import (
    columns_of,
    files_of,
    read_all,
    source_of,
    units_of,
    write_bytes,
    write_json,
    write_lines,
)

SUFFIXES = [".csv", ".csv.gz", ".csv.zst"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_rows_with_quotes_and_line_ends_inside(tmp_path, suffix):
    content = '\ufeff"id",text\r\n1,"two\nlines"\r\n\r\n2,"a ""quote"", and a comma"\n3,\n4,"last, without an end"'
    write_bytes(tmp_path / f"a{suffix}", content.encode())
    rows, kept = read_all(source_of(tmp_path, "csv"), ["text"], ["id"], unit_rows=1)
    texts = ["two\nlines", 'a "quote", and a comma', "", "last, without an end"]
    assert rows == [((text,), None) for text in texts]
    assert kept.to_pydict() == {"id": ["1", "2", "3", "4"]}


def test_tabs(tmp_path):
    write_lines(tmp_path / "a.tsv", ["a\tb", "1,5\tx"])
    assert read_all(source_of(tmp_path, "csv"), ["a", "b"])[0] == [(("1,5", "x"), None)]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_units_in_any_order(tmp_path, suffix):
    write_lines(tmp_path / f"a{suffix}", ["n,t", *(f'{n},"x\n{n}"' for n in range(500))])
    source = source_of(tmp_path, "csv")
    units = units_of(files_of(source)[0], source, 32)
    for unit in random.Random(3).sample(units * 2, len(units) * 2):
        numbers = range(unit.first_row, unit.first_row + unit.num_rows)
        assert read(unit, source, ["t"], pa.schema([])).columns["t"] == [f"x\n{n}" for n in numbers]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_bad_rows_cost_themselves(tmp_path, suffix):
    write_lines(
        tmp_path / f"a{suffix}",
        [b"a,b", b"1", b"1,2,3", b'1,"x"y', b"1,\xff", b"\xff,fine", b"1,good", b'1,5" wide', b"1," + b"z" * 200_000],
    )
    rows, _ = read_all(source_of(tmp_path, "csv"), ["b"], unit_rows=2)
    assert rows == [
        ((None,), "source: 1 fields where the header has 2"),
        ((None,), "source: 3 fields where the header has 2"),
        ((None,), "source: not a row of CSV"),
        ((None,), "source: column b holds invalid UTF-8"),
        (("fine",), None),
        (("good",), None),
        (('5" wide',), None),
        (("z" * 200_000,), None),
    ]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_quote_that_is_never_closed_costs_the_file(tmp_path, suffix):
    write_lines(tmp_path / f"a{suffix}", ["a,b", "1,2", '3,"open', *["5,6"] * 100])
    source = source_of(tmp_path, "csv")
    with pytest.raises(SourceUnreadable, match="quote is not closed"):
        units_of(files_of(source)[0], source, 8)


def test_a_row_over_the_limit_costs_the_file(tmp_path):
    write_lines(tmp_path / "a.csv.gz", ["a,b", '3,"open', *["5," + "6" * 10**6] * 80])
    source = source_of(tmp_path, "csv")
    with pytest.raises(SourceUnreadable, match="64 MiB"):
        units_of(files_of(source)[0], source, 8)


@pytest.mark.parametrize(
    ("content", "why"), [(b"", "no header"), (b"\n", "no header"), (b"a\0,b\n", "NUL"), (b"a,\xff\n", "UTF-8")]
)
def test_a_file_without_a_usable_header_costs_itself(tmp_path, content, why):
    write_bytes(tmp_path / "a.csv", content)
    source = source_of(tmp_path, "csv")
    with pytest.raises(SourceUnreadable, match=why):
        units_of(files_of(source)[0], source, 8)


def test_a_header_alone_has_no_rows(tmp_path):
    write_bytes(tmp_path / "a.csv", b"a,b\n")
    source = source_of(tmp_path, "csv")
    assert units_of(files_of(source)[0], source, 8) == []
    assert columns_of(files_of(source)[0], source) == pa.schema([("a", pa.string()), ("b", pa.string())])


def test_a_file_without_a_needed_column_costs_itself(tmp_path):
    write_lines(tmp_path / "a.csv", ["a,b", "1,2"])
    write_lines(tmp_path / "b.csv", ["a,c", "1,2"])
    source = source_of(tmp_path, "csv")
    with pytest.raises(SourceUnreadable, match=r"b\.csv has no column b"):
        read_all(source, ["b"])


@pytest.mark.parametrize("suffix", SUFFIXES[1:])
def test_a_truncated_archive_is_named_at_the_scan(tmp_path, suffix):
    path = write_lines(tmp_path / f"a{suffix}", ["a,b", *(f"{random.Random(n).random()},2" for n in range(5000))])
    path.write_bytes(path.read_bytes()[:-9])
    source = source_of(tmp_path, "csv")
    with pytest.raises(SourceUnreadable, match=rf"a\{suffix}"):
        units_of(files_of(source)[0], source, 8)


def test_other_formats_in_the_folder_are_passed_over(tmp_path):
    write_json(tmp_path / "a.jsonl", [{"a": 1}])
    write_lines(tmp_path / "a.csv", ["a", "1"])
    assert [file.path for file in files_of(source_of(tmp_path, "csv"))] == ["a.csv"]
