"""An export to one file that is killed, or whose store goes away, and the same call again."""

import signal
import subprocess
import sys

import pytest

from relabel.data.exports.export import export
from relabel.data.store.store import Store
from relabel.errors import StoreFailed
from tests.data.exports.labelled import labelled, write_lines
from tests.data.exports.test_webdataset import Failing

NUM_PARTS, PIECE = 6, 300
"""Of four rows each, one or two of which are a piece."""

KILLED = """
import os, signal, sys
from relabel.data.exports.export import export
from relabel.data.store.failpoints import listening
from relabel.data.store.store import Store

store, target, join, at = sys.argv[1:]
left = int(at)

def count(*_):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(lambda event, _: count() if event in ("os.rename", "os.remove", "os.rmdir") else None)
with listening(count):
    export(Store(store), target, join=join == "join", piece_bytes=300)
"""
"""Dies at the n-th moment at which something on the disk changes."""


@pytest.fixture
def store(tmp_path):
    for name in "abc":
        rows = [{"id": f"{name}{row}", "alt": f"text {row}", "at": row} for row in range(8)]
        write_lines(tmp_path, name, rows)
    return labelled(tmp_path)


def left_in(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(("suffix", "join"), [("jsonl", False), ("parquet", True)])
def test_whenever_it_is_killed_the_same_call_makes_the_same_file(store, tmp_path, suffix, join):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir(), killed.mkdir()
    expected = export(store, str(whole / f"x.{suffix}"), join=join, piece_bytes=PIECE)
    assert left_in(whole) == [f"x.{suffix}"], "nothing else is left"
    content, target = (whole / f"x.{suffix}").read_bytes(), killed / f"x.{suffix}"
    at, ended, num_killed = 1, None, 0
    while ended != 0:
        command = [sys.executable, "-c", KILLED, store.url, str(target), "join" if join else "", str(at)]
        ended = subprocess.run(command, capture_output=True).returncode
        assert ended in (0, -signal.SIGKILL)
        num_killed += ended != 0
        assert not target.exists() or target.read_bytes() == content, "whole or not at all"
        assert export(store, str(target), join=join, piece_bytes=PIECE) == expected
        assert target.read_bytes() == content
        assert f"_x.{suffix}.pieces" not in left_in(killed)
        target.unlink()
        at += 9
    assert num_killed >= 3


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_what_is_there_is_not_read_again(store, tmp_path, suffix):
    export(store, str(tmp_path / f"whole.{suffix}"), join=True, piece_bytes=PIECE)
    target = tmp_path / f"x.{suffix}"
    for num_reads in (2, 3):
        with pytest.raises(StoreFailed):
            export(Failing(store.url, num_reads), str(target), join=True, piece_bytes=PIECE)
        assert not target.exists()
    left = NUM_PARTS - 5
    assert export(Failing(store.url, left), str(target), join=True, piece_bytes=PIECE).rows == 24
    assert target.read_bytes() == (tmp_path / f"whole.{suffix}").read_bytes()


def test_pieces_of_another_export_are_not_taken(store, tmp_path):
    target = tmp_path / "x.jsonl"
    with pytest.raises(StoreFailed):
        export(Failing(store.url, 4), str(target), join=True, piece_bytes=PIECE)
    assert export(store, str(target), only_ok=True, piece_bytes=PIECE).rejected == 0
    export(store, str(tmp_path / "whole.jsonl"), only_ok=True, piece_bytes=PIECE)
    assert target.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_in_an_object_store_it_goes_on_too_and_leaves_nothing(store, s3_url, tmp_path):
    with pytest.raises(StoreFailed):
        export(Failing(store.url, 4), f"{s3_url}/x.parquet", piece_bytes=PIECE)
    assert list(Store(s3_url).names()) == []
    assert export(Failing(store.url, 2), f"{s3_url}/x.parquet", piece_bytes=PIECE).rows == 24
    export(store, str(tmp_path / "x.parquet"), piece_bytes=PIECE)
    assert Store(s3_url).read_bytes("x.parquet") == (tmp_path / "x.parquet").read_bytes()
    assert Store(s3_url).documents("_x.parquet.pieces") == {}


def test_a_damaged_piece_is_told_and_the_next_call_begins_anew(store, tmp_path):
    """As after a failing disk, or after a second export of other rows to the same file."""
    expected, target = tmp_path / "expected.jsonl", tmp_path / "x.jsonl"
    export(store, str(expected), piece_bytes=PIECE)
    with pytest.raises(StoreFailed):
        export(Failing(store.url, 4), str(target), piece_bytes=PIECE)
    piece = sorted((tmp_path / "_x.jsonl.pieces").glob("*.piece"))[0]
    content = piece.read_bytes()
    piece.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    with pytest.raises(StoreFailed, match="is damaged"):
        export(store, str(target), piece_bytes=PIECE)
    export(store, str(target), piece_bytes=PIECE)
    assert target.read_bytes() == expected.read_bytes()
    assert not (tmp_path / "_x.jsonl.pieces").exists()


def test_a_folder_that_is_not_there_is_not_made(store, tmp_path):
    with pytest.raises(StoreFailed, match="there is no folder"):
        export(store, str(tmp_path / "unmounted" / "x.jsonl"))
    assert not (tmp_path / "unmounted").exists()
