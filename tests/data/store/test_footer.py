import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from relabel.data.store.footer import says_rows, value_in
from relabel.data.store.part import encode_part, footer_size


@pytest.mark.parametrize("num_rows", [1, 63, 64, 127, 8192, 70_000])
@pytest.mark.parametrize("note", ["", "é" * 70, "relabel" * 3000])
def test_a_footer_says_what_pyarrow_reads_in_it(num_rows, note):
    data = encode_part(pa.table({"relabel": range(num_rows)}), {"note": note})
    footer = bytearray(data[-footer_size(data) :])
    read = pq.read_metadata(pa.BufferReader(data))
    assert value_in(footer, "relabel") == read.metadata[b"relabel"]
    assert value_in(footer, "relabel.seal") == read.metadata[b"relabel.seal"]
    assert [says_rows(footer, number) for number in (num_rows, num_rows - 1, num_rows + 1)] == [True, False, False]


@pytest.mark.parametrize("footer", [b"", b"\x18\x07relabel", b"\x18\x07relabel\x18", b"\x18\x07relabel\x18\xff\xff"])
def test_what_is_not_found_is_nothing(footer):
    assert value_in(bytearray(footer), "relabel") is None
    assert not says_rows(bytearray(footer), 1)
