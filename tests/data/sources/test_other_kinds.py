"""Files whose names say one thing and whose first bytes another: each is named by what it is, in every format."""

import gzip
import io
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from relabel.data.sources.planning import make_plan
from relabel.errors import SourceRefused
from tests.data.builders import source_of, write_bytes, write_json, write_parquet

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22e\nsize 12345\n"
TABLE = pa.table({"t": ["x"]})


def arrow_file(open_writer):
    sink = io.BytesIO()
    with open_writer(sink, TABLE.schema) as writer:
        writer.write_table(TABLE)
    return sink.getvalue()


def parquet_file():
    sink = io.BytesIO()
    pq.write_table(TABLE, sink)
    return sink.getvalue()


def zip_file():
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("a.csv", "t\nx\n")
    return sink.getvalue()


KINDS = {
    "a pointer of Git LFS": POINTER.encode(),
    "a web page": b"\n<!DOCTYPE html>\n<html><body>404</body></html>",
    "compressed by gzip": gzip.compress(b'{"t": "x"}\n'),
    "compressed by zip": zip_file(),
    "an Arrow file": arrow_file(pa.ipc.new_file),
    "an Arrow file, as a stream": arrow_file(pa.ipc.new_stream),
    "a Parquet file": parquet_file(),
    "an SQLite database": b"SQLite format 3\0" + bytes(100),
}
FORMATS = {"jsonl": "a.jsonl", "csv": "a.csv", "openai": "a.jsonl", "webdataset": "a.tar", "parquet": "a.parquet"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", FORMATS)
def test_a_file_of_another_kind_is_named_by_it(tmp_path, form, kind):
    write_bytes(tmp_path / FORMATS[form], KINDS[kind])
    plan = make_plan(source_of(tmp_path, form), 8)
    if (form, kind) == ("parquet", "a Parquet file"):
        assert plan.num_rows == 1
        return
    ((_, why),) = plan.unreadable
    assert f"cannot be read: it is {kind.removesuffix(', as a stream')}" in why


def test_rows_that_only_begin_like_another_kind_are_rows(tmp_path):
    write_bytes(tmp_path / "a.csv", b"version,html\nPK,<html>\n")
    write_json(tmp_path / "a.jsonl", [{"t": POINTER}, {"t": "<html>"}])
    assert make_plan(source_of(tmp_path, "csv"), 8).num_rows == 1
    assert make_plan(source_of(tmp_path, "jsonl"), 8).num_rows == 2


@pytest.mark.parametrize(
    ("form", "remedy"), [("jsonl", "the ending .gz"), ("webdataset", "unpack it to a plain tar file")]
)
def test_what_is_compressed_by_another_name_is_told_what_can_be_read(tmp_path, form, remedy):
    write_bytes(tmp_path / FORMATS[form], KINDS["compressed by gzip"])
    ((_, why),) = make_plan(source_of(tmp_path, form), 8).unreadable
    assert remedy in why


def test_a_delta_table_is_read_as_the_files_that_it_is_and_that_is_said(tmp_path):
    for name in ("part-0.parquet", "part-1.parquet"):
        write_parquet(tmp_path / name, {"t": ["x"]})
    write_json(tmp_path / "_delta_log/00000000000000000001.json", [{"remove": {"path": "part-0.parquet"}}])
    plan = make_plan(source_of(tmp_path, "parquet"), 8)
    said = "of a Delta table's log (rows that the table has deleted or replaced are read, too)"
    assert (plan.num_rows, plan.passed_over) == (2, {said: 1})


def test_a_path_in_the_words_of_another_tool_is_refused_with_what_to_write(tmp_path):
    write_parquet(tmp_path / "shard-00000.parquet", {"t": ["x"]})
    with pytest.raises(SourceRefused, match=r"braces are no glob: write \*, \? or \[0-9\], or a list of paths"):
        make_plan(source_of(tmp_path / "shard-{00000..00009}.parquet", "parquet"), 8)
    write_bytes(tmp_path / "tars/a.tar.gz", b"\x1f\x8b")
    with pytest.raises(SourceRefused, match=r"1 \.tar\.gz\).*unpack those that are compressed"):
        make_plan(source_of(tmp_path / "tars", "webdataset"), 8)
    write_bytes(tmp_path / "saved/data-00000-of-00001.arrow", KINDS["an Arrow file, as a stream"])
    with pytest.raises(SourceRefused, match=r"1 \.arrow\).*write them as Parquet, by Dataset\.to_parquet"):
        make_plan(source_of(tmp_path / "saved", "parquet"), 8)
