import os
import sys

import boto3
import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from relabel.data.sources import list_files, read
from relabel.data.sources.finding import matches
from relabel.data.sources.listing import say
from relabel.data.sources.plan import Plan
from relabel.data.sources.planning import make_plan
from relabel.data.sources.roots import source_root
from relabel.errors import SourceRefused, SourceUnreadable
from tests.data.builders import files_of, read_all, source_of, units_of, write_json, write_parquet


def paths(source):
    return [file.path for file in files_of(source)]


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
    assert files_of(source_of("data", "jsonl")) == files_of(source_of(tmp_path / "data", "jsonl"))


def test_one_file_named_twice_is_one_file(tmp_path):
    touch(tmp_path, "a.jsonl", "b.jsonl")
    assert paths(source_of([tmp_path, tmp_path / "a.jsonl"], "jsonl")) == ["a.jsonl", "b.jsonl"]


def test_version_is_the_modification_time(tmp_path):
    touch(tmp_path, "a.jsonl")
    os.utime(tmp_path / "a.jsonl", ns=(1, 1_700_000_000_123_456_789))
    (file,) = files_of(source_of(tmp_path, "jsonl"))
    assert (file.version, file.size) == ("1700000000123456789", 9)


@pytest.mark.parametrize("missing", ["absent.jsonl", "absent/", "*.csv", "empty", "a.jsonl/*"])
def test_a_path_that_matches_nothing_is_refused_by_name_though_others_match(tmp_path, missing):
    touch(tmp_path, "a.jsonl")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceRefused, match=str(tmp_path / missing).rstrip("/").replace("*", r"\*")):
        files_of(source_of([tmp_path / "a.jsonl", tmp_path / missing], "jsonl"))


@pytest.mark.parametrize("url", ["nosuchscheme://host/x.jsonl", "s3://*/x.jsonl"])
def test_a_url_that_cannot_be_resolved_is_refused_by_name(url):
    with pytest.raises(SourceRefused, match=url.partition("://")[0]):
        files_of(source_of(url, "jsonl"))


def test_a_url_whose_package_is_not_installed_is_refused_with_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    monkeypatch.delitem(sys.modules, "huggingface_hub.hf_file_system", raising=False)
    with pytest.raises(SourceRefused, match=r"a package for hf:// is not installed: .*huggingface_hub"):
        files_of(source_of("hf://datasets/someone/something/*.parquet", "parquet"))


def test_two_buckets_are_refused():
    with pytest.raises(SourceRefused, match="different buckets"):
        source_root(source_of(["s3://a/x", "s3://b/x"], "jsonl"))


def test_names_that_clash_give_parts_that_do_not_and_an_older_file_keeps_its_own(tmp_path):
    touch(tmp_path, "a.jsonl", "a.jsonl.gz")
    assert [file.stem for file in files_of(source_of(tmp_path, "jsonl"))] == ["a", "a.jsonl.gz"]
    (tmp_path / "a.jsonl").unlink()
    source = source_of(tmp_path, "jsonl")
    known = Plan.from_json(make_plan(source, 8).to_json())
    assert [unit.part for unit in known.units] == ["a-00000.parquet"]
    touch(tmp_path, "a.jsonl", "a.json", "a.jsonl.gz.ndjson")
    plan = Plan.from_json(make_plan(source, 8, known).to_json())
    assert {unit.file.path: unit.part for unit in plan.units} == {
        "a.json": "a.json-00000.parquet",
        "a.jsonl": "a.jsonl-00000.parquet",
        "a.jsonl.gz": "a-00000.parquet",
        "a.jsonl.gz.ndjson": "a.jsonl.gz-00000.parquet",
    }
    assert make_plan(source, 8, plan) == plan


@pytest.mark.parametrize("name", ["a[1].jsonl", "run[1]/a.jsonl", "a?.jsonl", "[.jsonl"])
def test_a_path_that_exists_is_that_path_although_it_could_be_a_glob(tmp_path, name):
    touch(tmp_path, name, "a1.jsonl", "ab.jsonl", "run1/a.jsonl")
    assert paths(source_of(tmp_path / name, "jsonl")) == [name]
    assert matches(str(tmp_path / name), str(tmp_path / name))


def test_a_folder_with_brackets_can_stand_before_a_glob(tmp_path):
    touch(tmp_path, "run[1]/a.jsonl", "run1/b.jsonl")
    assert paths(source_of(tmp_path / "run[1]/*.jsonl", "jsonl")) == ["run[1]/a.jsonl"]
    assert matches(str(tmp_path / "run[1]/*.jsonl"), str(tmp_path / "run[1]/a.jsonl"))


def test_what_lies_in_the_source_and_is_not_read_is_counted_by_suffix(tmp_path):
    touch(tmp_path, "a.jsonl", "README.md", "x/b.JSONL", "x/c.csv.gz", "x/d.tar.GZ", "_SUCCESS", "x/.git/e.jsonl")
    touch(tmp_path, "LICENSE", "dataset_info.json", "x/state.json", "f.csv", "g.csv")
    listing = list_files(source_of(tmp_path, "jsonl"))
    assert [file.path for file in listing.files] == ["a.jsonl", "x/b.JSONL"]
    assert listing.passed_over == {
        ".csv": 2, ".md": 1, ".csv.gz": 1, ".tar.gz": 1, "hidden": 2, "without a suffix": 1,
        "dataset_info.json": 1, "state.json": 1,
    }  # fmt: skip
    assert sum(listing.passed_over.values()) + len(listing.files) == 12, "no file without a word"
    assert say(listing.passed_over, limit=2) in ("2 .csv, 2 hidden, 6 others", "2 hidden, 2 .csv, 6 others")


@pytest.mark.parametrize("name", ["dataset_info.json", "state.json", "x.txt"])
def test_a_file_that_is_named_itself_is_read_whatever_its_name(tmp_path, name):
    touch(tmp_path, name)
    assert paths(source_of(tmp_path / name, "jsonl")) == [name]


def test_metadata_that_an_output_has_parts_of_stays_a_file(tmp_path):
    touch(tmp_path, "dataset_info.json", "b.jsonl")
    source = source_of(tmp_path, "jsonl")
    known = {"dataset_info.json": files_of(source_of(tmp_path / "dataset_info.json", "jsonl"))[0]}
    assert [file.path for file in list_files(source, known).files] == ["b.jsonl", "dataset_info.json"]


@pytest.mark.parametrize("is_glob", [False, True])
def test_a_name_that_is_not_utf_8_is_named_and_the_others_go_on(tmp_path, is_glob):
    touch(tmp_path, "a.jsonl")
    for name in (b"caf\xe9.jsonl", b"caf\xe9.txt", b"\xff/b.jsonl"):
        path = os.fsencode(tmp_path) + b"/" + name
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as handle:
            handle.write(b"{}\n")
    plan = make_plan(source_of(tmp_path / ("*" if is_glob else ""), "jsonl"), 8)
    assert [planned.file.path for planned in plan.files] == ["a.jsonl"]
    assert any(path.endswith("caf\\xe9.jsonl") and "not UTF-8" in why for path, why in plan.unreadable)
    assert len(plan.unreadable) == (1 if is_glob else 2)
    assert Plan.from_json(plan.to_json()) == plan


def test_parq_is_parquet(tmp_path):
    write_parquet(tmp_path / "a.parq", {"n": [1]})
    write_parquet(tmp_path / "b.pq", {"n": [2]})
    assert read_all(source_of(tmp_path, "parquet"), ["n"])[0] == [((1,), None), ((2,), None)]
    assert [file.stem for file in files_of(source_of(tmp_path, "parquet"))] == ["a.parq", "b.pq"]


def test_a_named_file_that_readers_would_skip_is_refused(tmp_path):
    touch(tmp_path, "_a.jsonl")
    with pytest.raises(SourceRefused, match="skipped by readers"):
        files_of(source_of(tmp_path / "_a.jsonl", "jsonl"))


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
        files_of(source_of(f"{s3_url}/none/*.parquet", "parquet"))
    with pytest.raises(SourceRefused, match="nosuchbucket"):
        files_of(source_of("s3://nosuchbucket/x.parquet", "parquet"))


def test_a_file_that_fsspec_knows_no_time_of_has_an_empty_version():
    fsspec.filesystem("memory").pipe({"/timeless/a.jsonl": b'{"a": 1}\n'})
    assert [file.version for file in files_of(source_of("memory://timeless", "jsonl"))] == [""]


def test_a_file_that_changed_after_the_plan_is_not_read(tmp_path):
    name = "a.parquet"
    write_parquet(tmp_path / name, {"n": [1, 2]})
    source = source_of(tmp_path, "parquet")
    (unit,) = units_of(files_of(source)[0], source, 8)
    write_parquet(tmp_path / name, {"n": [3, 4, 5]})
    with pytest.raises(SourceUnreadable, match="changed after it was planned"):
        read(unit, source, ["n"], pa.schema([]))
    (tmp_path / name).unlink()
    with pytest.raises(SourceUnreadable, match="no longer there"):
        read(unit, source, ["n"], pa.schema([]))
