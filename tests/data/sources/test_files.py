import os
import sys

import boto3
import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from relabel.data.sources import list_files, read, scan, source_root
from relabel.errors import SourceRefused, SourceUnreadable
from tests.data.builders import read_all, source_of, write_json, write_parquet


def paths(source):
    return [file.path for file in list_files(source)]


def touch(root, *names):
    for name in names:
        write_json(root / name, [{"a": 1}])


def test_a_folder_stands_for_its_files_of_the_format_below_it(tmp_path):
    touch(tmp_path, "b.jsonl", "sub/a.jsonl.gz", "README.md", "_tmp/x.jsonl", ".x.jsonl", "sub/_SUCCESS.jsonl")
    assert paths(source_of(tmp_path, "jsonl")) == ["b.jsonl", "sub/a.jsonl.gz"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.jsonl", ["a.jsonl"]),
        ("**/*.jsonl", ["a.jsonl", "x/b.jsonl", "x/y/c.jsonl", "z/b.jsonl"]),
        ("**", ["a.jsonl", "x/b.jsonl", "x/y/c.jsonl", "z/b.jsonl"]),
        ("*/b.jsonl", ["x/b.jsonl", "z/b.jsonl"]),
        ("[x]/b.jsonl", ["x/b.jsonl"]),
        ("?/**/*.jsonl", ["x/b.jsonl", "x/y/c.jsonl", "z/b.jsonl"]),
        ("x*", ["x/b.jsonl", "x/y/c.jsonl"]),
    ],
)
def test_globs(tmp_path, pattern, expected):
    touch(tmp_path, "a.jsonl", "x/b.jsonl", "x/y/c.jsonl", "z/b.jsonl", "_x/b.jsonl", "x/.d.jsonl")
    assert paths(source_of(tmp_path / pattern, "jsonl")) == expected


def test_new_files_never_rename_old_ones(tmp_path):
    source = source_of(tmp_path / "**/*.jsonl", "jsonl")
    touch(tmp_path, "deep/down/a.jsonl")
    assert paths(source) == ["deep/down/a.jsonl"]
    touch(tmp_path, "b.jsonl")
    assert paths(source) == ["b.jsonl", "deep/down/a.jsonl"]


@pytest.mark.parametrize(
    ("given", "root"),
    [
        ("/data/a.jsonl", "/data"),
        ("/data/v1.0", "/data/v1.0"),
        ("/data/", "/data"),
        ("/data/*/x.jsonl", "/data"),
        (["/data/a/*.jsonl", "/data/b"], "/data"),
        (["/data", "/other"], "/"),
        ("file:///data/with%20space/a.jsonl", "/data/with space"),
        ("s3://my.bucket", "s3://my.bucket"),
        ("s3://bucket/x/*.jsonl", "s3://bucket/x"),
        (["s3://bucket/x/a.jsonl", "s3://bucket/y/"], "s3://bucket"),
    ],
)
def test_the_root_comes_from_the_spec_alone(given, root):
    assert source_root(source_of(given, "jsonl")) == root


def test_a_relative_path_is_the_same_source_as_its_absolute_one(tmp_path, monkeypatch):
    touch(tmp_path, "data/a.jsonl")
    monkeypatch.chdir(tmp_path)
    assert list_files(source_of("data", "jsonl")) == list_files(source_of(tmp_path / "data", "jsonl"))


def test_one_file_named_twice_is_one_file(tmp_path):
    touch(tmp_path, "a.jsonl", "b.jsonl")
    assert paths(source_of([tmp_path, tmp_path / "a.jsonl"], "jsonl")) == ["a.jsonl", "b.jsonl"]


def test_version_is_the_modification_time(tmp_path):
    touch(tmp_path, "a.jsonl")
    os.utime(tmp_path / "a.jsonl", ns=(1, 1_700_000_000_123_456_789))
    (file,) = list_files(source_of(tmp_path, "jsonl"))
    assert (file.version, file.size) == ("1700000000123456789", 9)


@pytest.mark.parametrize("missing", ["absent.jsonl", "absent/", "*.csv", "empty", "a.jsonl/*"])
def test_a_path_that_matches_nothing_is_refused_by_name_though_others_match(tmp_path, missing):
    touch(tmp_path, "a.jsonl")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceRefused, match=str(tmp_path / missing).rstrip("/").replace("*", r"\*")):
        list_files(source_of([tmp_path / "a.jsonl", tmp_path / missing], "jsonl"))


@pytest.mark.parametrize("url", ["nosuchscheme://host/x.jsonl", "s3://*/x.jsonl"])
def test_a_url_that_cannot_be_resolved_is_refused_by_name(url):
    with pytest.raises(SourceRefused, match=url.partition("://")[0]):
        list_files(source_of(url, "jsonl"))


def test_a_url_whose_package_is_not_installed_is_refused_with_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    monkeypatch.delitem(sys.modules, "huggingface_hub.hf_file_system", raising=False)
    with pytest.raises(SourceRefused, match=r"a package for hf:// is not installed: .*huggingface_hub"):
        list_files(source_of("hf://datasets/someone/something/*.parquet", "parquet"))


def test_two_buckets_are_refused():
    with pytest.raises(SourceRefused, match="different buckets"):
        source_root(source_of(["s3://a/x", "s3://b/x"], "jsonl"))


def test_files_that_would_write_the_same_parts_are_refused(tmp_path):
    touch(tmp_path, "a.jsonl", "a.jsonl.gz")
    with pytest.raises(SourceRefused, match="same parts"):
        list_files(source_of(tmp_path, "jsonl"))


def test_a_named_file_that_readers_would_skip_is_refused(tmp_path):
    touch(tmp_path, "_a.jsonl")
    with pytest.raises(SourceRefused, match="skipped by readers"):
        list_files(source_of(tmp_path / "_a.jsonl", "jsonl"))


def test_an_fsspec_filesystem_that_pyarrow_does_not_know():
    fsspec.filesystem("memory").pipe({"/shelf/in/a.jsonl": b'{"a": 1}\n', "/shelf/in/deep/b.jsonl": b'{"a": 2}\n'})
    source = source_of("memory://shelf/in/**/*.jsonl", "jsonl")
    assert paths(source) == ["a.jsonl", "deep/b.jsonl"]
    assert read_all(source, ["a"])[0] == [((1,), None), ((2,), None)]


def test_s3(s3_url):
    bucket, _, prefix = s3_url.removeprefix("s3://").partition("/")
    for name, start in (("a b", 0), ("sub/c", 10)):
        sink = pa.BufferOutputStream()
        pq.write_table(pa.table({"n": range(start, start + 10)}), sink, row_group_size=4)
        key = f"{prefix}/{name}.parquet"
        boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=sink.getvalue().to_pybytes())
    for pattern in (s3_url, f"{s3_url}/**/*.parquet", f"{s3_url}/"):
        source = source_of(pattern, "parquet")
        assert paths(source) == ["a b.parquet", "sub/c.parquet"]
        assert read_all(source, ["n"])[0] == [((n,), None) for n in range(20)]
    with pytest.raises(SourceRefused, match="matches no parquet file"):
        list_files(source_of(f"{s3_url}/none/*.parquet", "parquet"))
    with pytest.raises(SourceRefused, match="nosuchbucket"):
        list_files(source_of("s3://nosuchbucket/x.parquet", "parquet"))


def test_a_file_that_fsspec_knows_no_time_of_has_an_empty_version():
    fsspec.filesystem("memory").pipe({"/timeless/a.jsonl": b'{"a": 1}\n'})
    assert [file.version for file in list_files(source_of("memory://timeless", "jsonl"))] == [""]


def test_a_file_that_changed_after_the_plan_is_not_read(tmp_path):
    name = "a.parquet"
    write_parquet(tmp_path / name, {"n": [1, 2]})
    source = source_of(tmp_path, "parquet")
    (unit,) = scan(list_files(source)[0], source, 8)
    write_parquet(tmp_path / name, {"n": [3, 4, 5]})
    with pytest.raises(SourceUnreadable, match="changed after it was planned"):
        read(unit, source, ["n"], pa.schema([]))
    (tmp_path / name).unlink()
    with pytest.raises(SourceUnreadable, match="no longer there"):
        read(unit, source, ["n"], pa.schema([]))
