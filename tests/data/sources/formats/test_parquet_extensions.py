"""Columns of extension types: never made by what a file says; those of Arrow itself are read as they are stored."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from relabel.data.sources.planning import make_plan
from relabel.errors import SourceUnreadable
from tests.data.builders import read_all, source_of, write_parquet


class Hostile(pa.ExtensionType):
    """Does harm when a reader makes it from a file's metadata."""

    harmed = False

    def __init__(self):
        super().__init__(pa.binary(), "hostile.type")

    def __arrow_ext_serialize__(self):
        return b"payload"

    @classmethod
    def __arrow_ext_deserialize__(cls, storage_type, serialized):
        Hostile.harmed = True
        return cls()


@pytest.mark.parametrize("is_nested", [False, True])
def test_an_extension_type_is_never_made_and_its_column_refused(tmp_path, is_nested):
    column = pa.ExtensionArray.from_storage(Hostile(), pa.array([b"gASV"], pa.binary()))
    if is_nested:
        column = pa.StructArray.from_arrays([column], ["inner"])
    pa.register_extension_type(Hostile())
    try:
        write_parquet(tmp_path / "a.parquet", pa.table({"n": [1], "x": column}))
        Hostile.harmed = False
        source = source_of(tmp_path, "parquet")
        assert read_all(source, ["n"])[0] == [((1,), None)]
        assert make_plan(source, 8, needed=["n"]).num_rows == 1
        ((_, why),) = make_plan(source, 8, needed=["n", "x"]).unreadable
        assert "column x has the extension type hostile.type, never loaded" in why
        with pytest.raises(SourceUnreadable, match=r"column x has the extension type hostile\.type"):
            read_all(source, ["x"])
        assert not Hostile.harmed
    finally:
        pa.unregister_extension_type("hostile.type")


def test_the_fixture_above_would_harm_a_plain_reader(tmp_path):
    pa.register_extension_type(Hostile())
    try:
        column = pa.ExtensionArray.from_storage(Hostile(), pa.array([b"x"], pa.binary()))
        path = write_parquet(tmp_path / "a.parquet", pa.table({"n": [1], "x": column}))
        Hostile.harmed = False
        pq.read_table(path, columns=["n"])
        assert Hostile.harmed
    finally:
        pa.unregister_extension_type("hostile.type")


def test_extension_types_of_arrow_itself_are_read_as_they_are_stored(tmp_path):
    tensors = pa.array([[1, 2], [3, 4]], pa.list_(pa.int32(), 2))
    columns = {
        "id": pa.array([b"a" * 16, None], pa.uuid()),
        "is_new": pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1, 0], pa.int8())),
        "box": pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(pa.int32(), [2]), tensors),
    }
    write_parquet(tmp_path / "a.parquet", columns)
    rows, kept = read_all(source_of(tmp_path, "parquet"), ["is_new"], ["id", "box"])
    assert rows == [((1,), None), ((0,), None)]
    assert (kept["id"].to_pylist(), kept["box"].to_pylist()) == ([b"a" * 16, None], [[1, 2], [3, 4]])
