import pyarrow as pa
import pytest

from relabel.errors import RunFailed
from relabel.job.stream.packed import packed, unpacked

BLOCKS = [
    pa.table({"n": [1, 2], "ids": [[1], [2, 3]]}).replace_schema_metadata({"a": "b"}),
    pa.table({"failure": ["it cannot be read"]}),
    pa.table({"n": [3], "pixels": pa.array([b"\0" * 9], pa.large_binary())}),
]


def test_blocks_of_whatever_columns_come_out_as_they_were():
    for found, block in zip(unpacked(packed(BLOCKS)), BLOCKS, strict=True):
        assert found.equals(block, check_metadata=True)


def test_a_block_alone_is_not_copied():
    assert packed(BLOCKS[:1]) is BLOCKS[0]
    assert unpacked(BLOCKS[0]) == [BLOCKS[0]]


def test_what_was_cut_or_joined_is_refused():
    """Units would be lost or doubled, and nobody would know."""
    both = packed(BLOCKS)
    for spoiled in (both.slice(0, 2), both.slice(1), pa.concat_tables([both, both])):
        with pytest.raises(RunFailed, match="of 3 that travelled together"):
            unpacked(spoiled)
