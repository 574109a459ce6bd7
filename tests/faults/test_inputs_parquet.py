"""Parquet that was cut, flipped, or written to do harm."""

import pickle
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.data.builders import source_of, write_parquet
from tests.faults.corpus import read_planned

pytestmark = pytest.mark.fault

GOOD = {"id": range(100), "text": [f"text {n}" for n in range(100)]}


def read_folder(folder, columns=("id", "text"), keep=("id",)):
    return read_planned(source_of(folder, "parquet"), list(columns), keep)


def assert_good(rows):
    assert rows == [((n, f"text {n}"), None) for n in range(100)]


@pytest.mark.parametrize("part", [0, 0.2, 0.5, 0.8, 0.999])
def test_a_shard_cut_anywhere_is_named_and_the_others_are_whole(tmp_path, part):
    for name in "abc":
        write_parquet(tmp_path / f"{name}.parquet", GOOD)
    content = (tmp_path / "b.parquet").read_bytes()
    (tmp_path / "b.parquet").write_bytes(content[: int(len(content) * part)])
    sound, broken = read_folder(tmp_path)
    assert list(broken) == ["b.parquet"]
    assert "b.parquet cannot be read" in broken["b.parquet"]
    assert sound.keys() == {"a.parquet", "c.parquet"}
    assert_good(sound["a.parquet"])
    assert_good(sound["c.parquet"])


@pytest.mark.parametrize("codec", ["none", "snappy", "zstd"])
def test_a_flipped_bit_under_a_page_checksum_never_becomes_another_value(tmp_path, codec):
    """The footer has no checksum. Statistics in a page's header are not read, so a flip in them changes nothing."""
    path = write_parquet(tmp_path / "a.parquet", GOOD, compression=codec, use_dictionary=False)
    content = path.read_bytes()
    num_named = 0
    pages_end = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    for at in range(4, pages_end, 3):
        damaged = bytearray(content)
        damaged[at] ^= 4
        path.write_bytes(damaged)
        sound, broken = read_folder(tmp_path, keep=())
        num_named += bool(broken)
        for rows in sound.values():
            assert_good(rows)
    assert num_named > 50, "most bytes are under a checksum"


class Marker:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("kind", ["ray.data.arrow_tensor", "ray.data.arrow_tensor_v2", "arrow.py_extension_type"])
def test_a_pickle_in_the_type_of_a_column_is_never_loaded(tmp_path, kind):
    marker = tmp_path / "marker"
    payload = pickle.dumps(Marker(marker))
    metadata = {"ARROW:extension:name": kind, "ARROW:extension:metadata": payload}
    schema = pa.schema([("id", pa.int64()), pa.field("x", pa.list_(pa.int8()), metadata=metadata)])
    write_parquet(tmp_path / "a.parquet", pa.table([[1, 2], [[1], [2]]], schema=schema))
    assert read_folder(tmp_path, ["id"])[0] == {"a.parquet": [((1,), None), ((2,), None)]}
    _, broken = read_folder(tmp_path, ["id", "x"])
    assert f"extension type {kind}, never loaded" in broken["a.parquet"]
    assert not marker.exists()
    pickle.loads(payload)
    assert marker.exists(), "it would have done harm"


def test_uuids_are_read_as_they_are_stored(tmp_path):
    ids = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([bytes(16)], pa.binary(16)))
    write_parquet(tmp_path / "a.parquet", pa.table({"id": ids, "text": ["x"]}))
    assert read_folder(tmp_path, ["text"], [])[0] == {"a.parquet": [(("x",), None)]}
    assert read_folder(tmp_path, ["id"], [])[0] == {"a.parquet": [((bytes(16),), None)]}


def test_pickled_objects_in_a_column_are_bytes(tmp_path):
    payload = pickle.dumps(Marker(tmp_path / "marker"))
    write_parquet(tmp_path / "a.parquet", {"id": [1], "text": [payload]})
    assert read_folder(tmp_path)[0] == {"a.parquet": [((1, payload), None)]}
    assert not (tmp_path / "marker").exists()


def test_a_file_of_twenty_thousand_columns_is_read_by_the_one_that_is_asked_for(tmp_path):
    names = [f"c{n}" for n in range(20_000)]
    write_parquet(tmp_path / "a.parquet", pa.table([pa.array([7])] * len(names), names))
    assert read_folder(tmp_path, ["c19999"], ["c0"])[0] == {"a.parquet": [((7,), None)]}


def test_shards_without_rows_among_others_cost_nothing(tmp_path):
    write_parquet(tmp_path / "a.parquet", {"id": pa.array([], pa.int64()), "text": pa.array([], pa.string())})
    write_parquet(tmp_path / "b.parquet", GOOD)
    write_parquet(tmp_path / "c.parquet", {"other": pa.array([], pa.string())})
    sound, broken = read_folder(tmp_path)
    assert (sound["a.parquet"], sound["c.parquet"], broken) == ([], [], {})
    assert_good(sound["b.parquet"])


def test_shards_of_another_shape_are_named_by_column_and_the_others_are_whole(tmp_path):
    write_parquet(tmp_path / "a.parquet", GOOD)
    write_parquet(tmp_path / "b.parquet", {"id": range(3)})
    write_parquet(tmp_path / "c.parquet", {"id": ["x"], "text": ["x"]})
    write_parquet(tmp_path / "d.parquet", {"extra": range(100)} | GOOD)
    sound, broken = read_folder(tmp_path)
    assert sound.keys() == {"a.parquet", "c.parquet", "d.parquet"}
    assert_good(sound["a.parquet"])
    assert_good(sound["d.parquet"])
    assert sound["c.parquet"] == [(("x", "x"), None)], "a kept value of another type costs no label"
    assert "b.parquet has no column text" in broken["b.parquet"]


def test_a_footer_that_claims_more_rows_than_the_pages_hold(tmp_path):
    path = write_parquet(tmp_path / "a.parquet", {"id": range(100), "text": ["x"] * 100})
    short = write_parquet(tmp_path / "short.parquet", {"id": range(99), "text": ["x"] * 99})
    assert pq.read_metadata(short).num_rows == 99
    content = path.read_bytes()
    for at in (at for at in range(len(content)) if content[at : at + 2] == b"\xc8\x01"):  # 100 as thrift writes it
        path.write_bytes(content[:at] + b"\xd8\x04" + content[at + 2 :])
        sound, broken = read_folder(tmp_path)
        assert len(sound.get("a.parquet", [None] * 100)) == 100 or "a.parquet" in broken
