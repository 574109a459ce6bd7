import numpy as np
import pyarrow as pa
import pytest

from relabel.data.sources.unit import SourceFile, Unit
from relabel.errors import RunFailed
from relabel.job.stages.block import pack_tensors, unit_block, unit_of, unpack_tensors

UNIT = Unit(file=SourceFile(path="a.csv", url="/a.csv", size=1, version=""), index=0, first_row=0, num_rows=3)


def block():
    return unit_block(UNIT, pa.table({"id": [1, 2, 3]}), {"relabel:reason": pa.nulls(3, pa.string())})


def test_a_block_knows_its_unit():
    assert unit_of(block()) == UNIT


@pytest.mark.parametrize("cut", [lambda whole: whole.slice(0, 2), lambda whole: pa.concat_tables([whole, whole])])
def test_a_block_that_is_not_one_whole_unit_is_never_published(cut):
    """Ray's own retry of a task whose output was cut elsewhere lost and doubled rows without a word."""
    with pytest.raises(RunFailed, match="not one whole unit"):
        unit_of(cut(block()))


def test_two_units_in_a_block_are_never_published():
    other = Unit(file=UNIT.file, index=1, first_row=3, num_rows=3)
    both = pa.concat_tables(
        [block(), unit_block(other, pa.table({"id": [4, 5, 6]}), {"relabel:reason": pa.nulls(3, pa.string())})]
    )
    with pytest.raises(RunFailed, match="not one whole unit"):
        unit_of(both)


def test_tensors_come_back_as_they_went():
    pixels = np.arange(12, dtype=np.uint8).reshape(2, 3, 2).transpose(2, 0, 1)
    packed = pack_tensors([{"pixel_values": pixels, "grid": np.array([[1, 2]])}, {}])
    there, nothing = (unpack_tensors(value.as_py()) for value in packed)
    assert nothing == {}
    np.testing.assert_array_equal(there["pixel_values"], pixels)
    np.testing.assert_array_equal(there["grid"], [[1, 2]])
