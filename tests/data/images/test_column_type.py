import pyarrow as pa
import pytest

from relabel.data.images.column_type import check_image_columns
from relabel.errors import SpecError

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


@pytest.mark.parametrize(
    "kind",
    [
        pa.binary(), pa.large_binary(), pa.binary(8), pa.binary_view(), pa.string(), pa.large_string(),
        pa.string_view(), pa.dictionary(pa.int32(), pa.string()), IMAGE, pa.struct([("path", pa.string())]),
        pa.struct([("bytes", pa.string()), ("other", pa.int64())]), pa.list_(IMAGE), pa.list_(pa.string()),
        pa.large_list(pa.binary()), pa.list_(pa.binary(), 2), pa.list_view(IMAGE), pa.null(), pa.list_(pa.null()),
    ],
    ids=str,
)  # fmt: skip
def test_a_type_that_can_hold_images(kind):
    check_image_columns(["image"], pa.schema([("image", kind)]))


@pytest.mark.parametrize(
    "kind",
    [
        pa.int64(), pa.float32(), pa.bool_(), pa.timestamp("s"), pa.date32(), pa.decimal128(9, 2), pa.list_(pa.uint8()),
        pa.list_(pa.list_(pa.binary())), pa.struct([("url", pa.string())]), pa.struct([("bytes", pa.int64())]),
        pa.map_(pa.string(), pa.binary()), pa.dictionary(pa.int32(), pa.int64()), pa.struct([]),
    ],
    ids=str,
)  # fmt: skip
def test_a_type_that_can_hold_none_is_refused_by_its_name(kind):
    with pytest.raises(SpecError) as refused:
        check_image_columns(["image"], pa.schema([("image", kind)]))
    assert f"prompt.image names column 'image' of type {kind}, which can hold no image" in str(refused.value)
