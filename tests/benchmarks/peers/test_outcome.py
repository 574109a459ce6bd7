"""What is counted of an output, by whichever way it was written."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.peers.outcome import parts_of, read_outcome


@pytest.fixture
def output(tmp_path):
    def write(name, rows):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        names = list(dict.fromkeys(key for row in rows for key in row))
        pq.write_table(pa.table({key: [row.get(key) for row in rows] for key in names}), tmp_path / name)

    write("a.parquet", [{"id": 0, "caption": "x", "__inference_error__": ""}, {"id": 1, "caption": "y"}])
    write("b.parquet", [{"id": 1, "caption": "y"}, {"id": 2, "__inference_error__": "ValueError: it holds a row"}])
    write("c.parquet", [{"id": 4, "caption": "z", "text": " z ", "reason": None}, {"id": 5, "reason": "prompt: null"}])
    write("_draft/d.parquet", [{"id": 3, "caption": "unfinished"}])
    return tmp_path


def test_rows_are_lost_doubled_labelled_or_rejected(output):
    found = read_outcome(output, num_rows=7)
    assert (found.lost, found.doubled) == (2, 1), "3 is in no file that readers see"
    assert found.texts == {0: "x", 1: "y", 4: " z "}, "of relabel the text before it was parsed"
    assert found.rejects == {2: "ValueError", 5: "prompt"}


def test_an_output_that_was_never_begun_holds_nothing(tmp_path):
    assert parts_of(tmp_path / "none") == []
    assert read_outcome(tmp_path / "none", num_rows=3).lost == 3
