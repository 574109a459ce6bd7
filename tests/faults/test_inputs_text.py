"""Lines of JSON and of CSV that are no rows, among rows that are."""

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.data.builders import source_of, write_bytes, write_lines
from tests.faults.corpus import compressed, read_planned

pytestmark = pytest.mark.fault

BEFORE, AFTER = b'{"id": 1, "t": "before"}', b'{"id": 2, "t": "after"}'


def rows_of(path, columns=("t",), keep=("id",)):
    """The rows of one file, and why it could not be read."""
    sound, broken = read_planned(source_of(path, path.name.split(".")[1]), list(columns), keep)
    return sound.get(path.name), broken.get(path.name)


HOSTILE = {
    "a NUL byte": (b'{"t": "\0"}', None, "source: not a line of JSON"),
    "an escaped NUL": (b'{"t": "\\u0000"}', "\0", None),
    "UTF-16": ('{"t": "x"}'.encode("utf-16-le"), None, "source: not a line of JSON"),
    "latin-1": ('{"t": "é"}'.encode("latin-1"), None, "source: invalid UTF-8"),
    "an overlong slash": (b'{"t": "\xc0\xaf"}', None, "source: invalid UTF-8"),
    "a surrogate as bytes": (b'{"t": "\xed\xa0\x80"}', None, "source: invalid UTF-8"),
    "a surrogate in a key": (b'{"t": {"\\udc00": 1}}', None, "source: column t holds invalid UTF-8"),
    "brackets without end": (b'{"t": ' + b"[" * 100_000 + b"}", None, "source: not a line of JSON"),
    "brackets with an end": (b'{"t": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", None, "source: not a line of JSON"),
    "braces without end": (b'{"t":' * 100_000, None, "source: not a line of JSON"),
    "an integer of 5000 digits": (b'{"t": ' + b"9" * 5000 + b"}", None, "source: not a line of JSON"),
    "a key twice": (b'{"t": "first", "t": "last"}', "last", None),
    "a number for text": (b'{"t": 7}', 7, None),
    "two objects": (b'{"t": 1}{"t": 2}', None, "source: not a line of JSON"),
    "a mark in the middle": (b'\xef\xbb\xbf{"t": "x"}', "x", None),
    "a carriage return": (b'{"t": "x"}\r', "x", None),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_line_costs_itself(tmp_path, name):
    line, value, why = HOSTILE[name]
    path = write_lines(tmp_path / "a.jsonl", [BEFORE, line, b"", AFTER])
    assert rows_of(path)[0] == [(("before",), None), ((value,), why), (("after",), None)]


def test_a_float_beyond_all_numbers_is_infinite_and_costs_nothing(tmp_path):
    path = write_lines(tmp_path / "a.jsonl", [b'{"id": 1, "t": 0.5}', b'{"id": 2, "t": 1e999}'])
    assert rows_of(path, keep=["t"])[0] == [((0.5,), None), ((float("inf"),), None)]


def test_a_deeply_nested_value_that_is_kept_costs_its_own_row_at_most(tmp_path):
    for depth in (200, 900, 990, 20_000):
        deep = b'{"t": ' + b"[" * depth + b"]" * depth + b"}"
        rows, _ = rows_of(write_lines(tmp_path / "a.jsonl", [BEFORE, deep, AFTER]), keep=["t"])
        assert [rows[0], rows[2]] == [(("before",), None), (("after",), None)]


def peak_of(path, limit):
    """Reads a file in a process that may not take more memory than that; what it read."""
    script = "import sys, pathlib; from tests.faults.test_inputs_text import rows_of; rows, broken = "
    script += "rows_of(pathlib.Path(sys.argv[1])); print([why for _, why in rows or []], broken)"
    return subprocess.run(
        [sys.executable, "-c", script, str(path)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit, limit)),
    )


@pytest.mark.parametrize("suffix", [".jsonl.gz", ".jsonl.zst"])
def test_a_bomb_of_one_line_is_passed_over_in_little_memory(tmp_path, suffix):
    """A gigabyte of one letter in some kilobytes; the process may take 600 MB."""
    codec = {".gz": "gzip", ".zst": "zstd"}[suffix[6:]]
    lines = [
        compressed(BEFORE + b"\n", codec),
        *[compressed(b"x" * 2**26, codec)] * 16,
        compressed(b"\n" + AFTER, codec),
    ]
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"".join(lines))
    assert path.stat().st_size < 3_000_000
    done = peak_of(path, 600 * 2**20)
    assert done.stdout.strip() == "[None, 'source: a line of more than 64 MiB', None] None", done.stderr


def test_rubbish_after_a_gzip_is_named(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(compressed(BEFORE + b"\n", "gzip") + b"rubbish at the end" * 10)
    rows, broken = rows_of(path)
    assert rows is None
    assert "a.jsonl.gz" in broken


def test_a_flipped_byte_of_a_gzip_never_becomes_another_row(tmp_path):
    content = b"".join(b'{"id": %d, "t": "text %d"}\n' % (n, n) for n in range(500))
    path, packed = tmp_path / "a.jsonl.gz", compressed(content, "gzip")
    num_named = 0
    for at in range(10, len(packed), 23):
        path.write_bytes(packed[:at] + bytes([packed[at] ^ 16]) + packed[at + 1 :])
        rows, broken = rows_of(path)
        assert rows in (None, [((f"text {n}",), None) for n in range(500)])
        num_named += broken is not None
    assert num_named > 90, "but for the bits that fill up the last byte of the stream"


def test_a_broken_shard_of_json_is_named_and_the_others_are_whole(tmp_path):
    for name in "abc":
        write_bytes(tmp_path / f"{name}.jsonl.gz", BEFORE + b"\n" + AFTER)
    (tmp_path / "b.jsonl.gz").write_bytes((tmp_path / "b.jsonl.gz").read_bytes()[:-4])
    sound, broken = read_planned(source_of(tmp_path, "jsonl"), ["t"])
    whole = [(("before",), None), (("after",), None)]
    assert sound == {"a.jsonl.gz": whole, "c.jsonl.gz": whole}
    assert list(broken) == ["b.jsonl.gz"]


CSV_ROWS = {
    "too few fields": (b"1", "source: 1 fields where the header has 2"),
    "too many fields": (b"1,2,3", "source: 3 fields where the header has 2"),
    "bytes of no text": (b"1,\xff\xfe", "source: column t holds invalid UTF-8"),
    "text after a quote": (b'1,"x"y', "source: not a row of CSV"),
}


@pytest.mark.parametrize("name", CSV_ROWS)
def test_a_row_of_csv_that_is_none_costs_itself(tmp_path, name):
    line, why = CSV_ROWS[name]
    path = write_lines(tmp_path / "a.csv", [b"id,t", b"1,before", line, b"2,after"])
    assert rows_of(path)[0] == [(("before",), None), ((None,), why), (("after",), None)]


def test_a_nul_in_a_row_of_csv_costs_at_most_that_row(tmp_path):
    path = write_lines(tmp_path / "a.csv", [b"id,t", b"1,before", b"1,x\0y", b"2,after"])
    rows, _ = rows_of(path)
    assert len(rows) == 3
    assert [rows[0], rows[2]] == [(("before",), None), (("after",), None)]
    assert rows[1] in [(("x\0y",), None), ((None,), "source: not a row of CSV")]


def test_a_quote_that_is_never_closed_costs_its_shard_alone(tmp_path):
    write_lines(tmp_path / "a.csv", ["id,t", "1,x"])
    write_lines(tmp_path / "b.csv", ["id,t", '1,"x', "2,y"])
    sound, broken = read_planned(source_of(tmp_path, "csv"), ["t"])
    assert sound == {"a.csv": [(("x",), None)]}
    assert "quote is not closed" in broken["b.csv"]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le"])
def test_csv_in_another_encoding_is_never_read_as_something_else(tmp_path, encoding):
    path = write_bytes(tmp_path / "a.csv", "id,t\n1,x\n2,y\n".encode(encoding))
    rows, broken = rows_of(path, keep=())
    assert rows is None
    assert "a.csv" in broken


def test_a_header_with_control_characters_or_huge_names(tmp_path):
    path = write_lines(tmp_path / "a.csv", ["id,t," + "n" * 10**6 + ',"line\nend"', "1,x,2,3"])
    assert rows_of(path)[0] == [(("x",), None)]


def test_messages_of_a_batch_file_that_are_no_messages_cost_their_row(tmp_path):
    fine = {"custom_id": "a", "url": "/v1/chat/completions", "body": {"messages": []}}
    lines = [json.dumps(fine), '{"custom_id": "b", "body": ' + "[" * 10**5, "\0", json.dumps(fine)]
    write_lines(tmp_path / "a.jsonl", lines)
    rows = read_planned(source_of(tmp_path, "openai"), ["messages"], ["custom_id"])[0]["a.jsonl"]
    assert [why is None for _, why in rows] == [True, False, False, True]
