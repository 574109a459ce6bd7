import pyarrow as pa
import pytest

from relabel.data.labels.kept import kept_columns, not_kept

COLUMNS = pa.schema(
    [
        ("id", pa.int64()),
        ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        ("hashes", pa.list_(pa.binary(8))),
        ("tags", pa.list_(pa.string())),
        ("status", pa.string()),
        ("twice", pa.null()),
        ("twice", pa.null()),
    ]
)


def test_all_is_every_column_but_bytes_names_of_the_output_and_names_that_are_there_twice():
    assert kept_columns("all", COLUMNS, ["status"]).names == ["id", "tags"]
    assert list(not_kept(COLUMNS, ["status"])) == ["image", "hashes", "status", "twice"]


def test_columns_that_are_named_stand_in_that_order_also_those_of_bytes():
    assert kept_columns(["tags", "image"], COLUMNS, []).names == ["tags", "image"]


@pytest.mark.parametrize("name", ["nowhere", "twice"])
def test_a_column_that_is_named_is_there_once(name):
    with pytest.raises(ValueError, match=f"output.keep names '{name}', and there is no one such column"):
        kept_columns([name], COLUMNS, [])
