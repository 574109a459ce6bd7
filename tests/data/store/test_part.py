import zlib

import pyarrow as pa
import pytest

from relabel.data.store.part import decode_rows, decode_stamp, encode_part
from relabel.data.store.stamp import make_stamp
from relabel.errors import PartDamaged
from tests.outputs import planned_file, rows_of

UNIT = planned_file("a.parquet", 5, unit_rows=5).units[0]
ROWS = rows_of(UNIT)
STAMP = make_stamp(UNIT, "recipe", ROWS)
DATA = encode_part(ROWS, STAMP.to_json())


def test_a_part_round_trips():
    assert decode_stamp(DATA, "part") == STAMP
    assert decode_rows(pa.py_buffer(DATA), "part").equals(ROWS)


def test_the_same_rows_are_the_same_bytes():
    assert encode_part(rows_of(UNIT), STAMP.to_json()) == DATA


def test_a_flipped_bit_is_found_or_changes_nothing_that_is_read():
    """One bit of every byte. Without the seal over the footer, one in forty renamed a column or moved a statistic."""
    num_found = 0
    for at in range(len(DATA)):
        data = bytearray(DATA)
        data[at] ^= 1 << at % 8
        try:
            stamp, rows = decode_stamp(bytes(data), "part"), decode_rows(pa.py_buffer(data), "part")
        except PartDamaged:
            num_found += 1
        else:
            assert (stamp, rows.schema) == (STAMP, ROWS.schema), f"byte {at}"
            assert rows.equals(ROWS), f"byte {at}"
    assert num_found > len(DATA) * 0.8


@pytest.mark.parametrize("cut", [0, 1, 7, 8, 9, 100, len(DATA) // 2, len(DATA) - 8, len(DATA) - 1])
def test_a_truncated_part_is_found(cut):
    with pytest.raises(PartDamaged, match="part"):
        decode_stamp(DATA[:cut], "part")
    with pytest.raises(PartDamaged, match="part"):
        decode_rows(pa.py_buffer(DATA[:cut]), "part")


def test_a_stamp_of_other_rows_is_found():
    data = encode_part(ROWS, STAMP.to_json() | {"num_rows": 6})
    with pytest.raises(PartDamaged, match="has 5 rows, its stamp says 6"):
        decode_stamp(data, "part")


@pytest.mark.parametrize(
    "change",
    [{"fingerprint": None}, {"num_rows": "5"}, {"reasons": ["image"]}, {"reasons": {"image": "1"}}, {"more": 1}],
)
def test_a_stamp_of_another_shape_is_found(change):
    with pytest.raises(PartDamaged, match="stamp"):
        decode_stamp(encode_part(ROWS, STAMP.to_json() | change), "part")


def test_a_footer_that_is_sealed_and_no_footer_of_parquet_is_found():
    seal, place = b"relabel.crc32=", b"00000000"
    footer = seal + place + (len(seal) + len(place)).to_bytes(4, "little") + b"PAR1"
    forged = footer.replace(place, b"%08x" % zlib.crc32(footer))
    with pytest.raises(PartDamaged, match="cannot be read back"):
        decode_stamp(forged, "part")


def test_text_in_the_rows_cannot_pose_as_the_seal():
    column = ROWS.schema.get_field_index("text")
    posing = ROWS.set_column(column, ROWS.schema.field(column), pa.array(["relabel.crc32=ffffffff"] * ROWS.num_rows))
    assert decode_stamp(encode_part(posing, STAMP.to_json()), "part") == STAMP
