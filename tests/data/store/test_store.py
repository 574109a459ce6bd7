import os
import threading
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from relabel.data.store.failpoints import Failpoint
from relabel.data.store.part import encode_part
from relabel.data.store.stamp import make_stamp
from relabel.data.store.store import Store
from relabel.errors import PartDamaged, Refused, StoreFailed
from tests.outputs import planned_file, publish, rows_of

UNIT = planned_file("a.parquet", 4).units[0]
ODD_NAMES = [
    "a b.parquet",
    "a#1.parquet",
    "100%.parquet",
    "%20.parquet",
    "ü/日本.parquet",
    "x#2/a.parquet",
    "a?*&=+;.parquet",
]


@pytest.fixture(params=["local", "s3"])
def url(request, tmp_path):
    return str(tmp_path / "out") if request.param == "local" else request.getfixturevalue("s3_url")


def test_what_is_published_is_read_back(url):
    store, rows = Store(url), rows_of(UNIT)
    assert publish(store, UNIT, "recipe")
    assert list(store.parts()) == ["a-00000.parquet"]
    assert store.read(UNIT.part).rows.equals(rows)
    assert store.read_stamp(UNIT.part) == make_stamp(UNIT, "recipe", rows)
    assert store.read_stamp(UNIT.part, store.parts()[UNIT.part].size).reasons == {"image": 1}


def test_the_second_writer_of_a_part_loses(url):
    store, rows = Store(url), rows_of(UNIT)
    assert publish(store, UNIT, "first", rows)
    assert not publish(Store(url), UNIT, "second", rows)
    assert store.read_stamp(UNIT.part).fingerprint == "first"


def test_of_many_writers_at_once_one_wins(url):
    barrier, won = threading.Barrier(8), []

    def write(number):
        store = Store(url)
        barrier.wait()
        if publish(store, UNIT, f"writer {number}"):
            won.append(number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [f"writer {number}" for number in won] == [Store(url).read_stamp(UNIT.part).fingerprint]


def test_a_part_is_replaced_whole_and_with_the_stamp_that_is_given(url):
    """What is read of a part carries its old stamp in its schema, which must not be written beside the new one."""
    store, rows = Store(url), rows_of(UNIT)
    publish(store, UNIT, "recipe", rows)
    fewer = store.read(UNIT.part).rows.set_column(
        rows.column_names.index("reason"), "reason", pa.array([None, None, None, "parse: nothing"])
    )
    stamp = make_stamp(UNIT, "recipe", fewer).to_json()
    for _ in range(2):
        assert store.replace(UNIT.part, fewer, stamp, store.read(UNIT.part).version)
        assert {part: listed.size for part, listed in store.parts().items()} == {
            UNIT.part: len(encode_part(fewer.replace_schema_metadata(), stamp))
        }
        assert store.read_stamp(UNIT.part).reasons == {"parse": 1}
        assert store.read(UNIT.part).rows.equals(fewer)
    assert not publish(store, UNIT, "late"), "whoever creates loses against what replaced a part, too"
    assert store.read_stamp(UNIT.part).fingerprint == "recipe"


def test_of_two_that_replace_the_same_version_of_a_part_the_second_is_told_and_writes_nothing(url):
    store = Store(url)
    publish(store, UNIT, "recipe")
    seen = store.read(UNIT.part)
    first, second = (replace(seen.stamp, ok=ok).to_json() for ok in (1, 2))
    assert store.replace(UNIT.part, seen.rows, first, seen.version)
    assert not Store(url).replace(UNIT.part, seen.rows, second, seen.version)
    assert store.read(UNIT.part).stamp.ok == 1
    store.delete(UNIT.part)
    assert not store.replace(UNIT.part, seen.rows, second, seen.version), "what was deleted stays deleted"
    assert store.parts() == {}


def test_a_part_that_is_bad_is_published_over_unless_it_is_another_meanwhile_or_gone(url):
    store = Store(url)
    store.put_json(UNIT.part, "torn")
    bad = store.version(UNIT.part)
    assert publish(store, UNIT, "first", bad=bad)
    assert not publish(store, UNIT, "second", bad=bad)
    assert store.read_stamp(UNIT.part).fingerprint == "first"
    store.delete(UNIT.part)
    assert store.version(UNIT.part) is None
    assert publish(store, UNIT, "second", bad=bad), "what is gone is made"


def test_a_document_is_created_once_and_may_be_put_over_and_deleted_twice(url):
    store = Store(url)
    assert store.read_json("_run.json") is None
    assert store.create_json("_run.json", {"a": [1, None, "ü"]})
    assert not store.create_json("_run.json", {"a": 2})
    assert store.read_json("_run.json") == {"a": [1, None, "ü"]}
    store.put_json("_SUCCESS", 1)
    store.put_json("_SUCCESS", 2)
    assert store.read_json("_SUCCESS") == 2
    store.delete("_SUCCESS")
    store.delete("_SUCCESS")
    assert store.read_json("_SUCCESS") is None


def test_who_writes_a_document_learns_which_version_it_is(url):
    store = Store(url)
    first = store.write_json("_run.json", {"a": 1}, None)
    assert first == store.version("_run.json")
    assert store.write_json("_run.json", {"a": 2}, None) is None, "somebody was first"
    second = store.write_json("_run.json", {"a": 3}, first)
    assert second == store.version("_run.json") != first
    assert store.write_json("_run.json", {"a": 4}, first) is None
    assert store.read_json("_run.json") == {"a": 3}


@pytest.mark.parametrize(
    "overtake", [lambda store: store.put_json("_run.json", 2), lambda store: store.delete("_run.json")]
)
def test_a_document_that_is_another_at_once_or_gone_has_no_version(url, overtake):
    def hook(point, name):
        if point is Failpoint.DONE:
            overtake(Store(url))

    assert Store(url, on_failpoint=hook).write_json("_run.json", {"a": 1}, None) == {}


def test_hidden_names_are_not_listed(url):
    store = Store(url)
    for name in ("_run.json", "_x/a.parquet", ".x/a.parquet", "b/_a.parquet", "b/.a.parquet"):
        store.put_json(name, 1)
    store.put_json("b/notes.txt", 1)
    store.put_json("day=1/a_b.parquet", 1)
    assert list(store.names()) == ["b/notes.txt", "day=1/a_b.parquet"]
    assert list(store.parts()) == ["day=1/a_b.parquet"]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_file_names_round_trip(url, name):
    store, unit = Store(url), planned_file(name, 4).units[0]
    assert publish(store, unit, "recipe")
    assert list(store.parts()) == [unit.part]
    assert store.read_stamp(unit.part).source_file == name
    assert store.read(unit.part).rows.equals(rows_of(unit))


@pytest.mark.parametrize("folder", ["a b#c", "100%", "%20", "ü?x"])
def test_the_output_folder_may_have_an_odd_name(url, folder):
    store = Store(f"{url}/{folder}")
    store.put_json("x.parquet", 1)
    assert list(store.parts()) == ["x.parquet"]
    assert list(Store(url).parts()) == [f"{folder}/x.parquet"]


def test_the_url_of_a_store_is_the_same_folder_from_any_working_directory(url, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = Store(url if "://" in url else os.path.relpath(url))
    store.put_json("x.parquet", 1)
    monkeypatch.chdir("/")
    assert list(Store(store.url).parts()) == ["x.parquet"]


def test_a_part_that_is_gone_is_damaged_and_not_a_crash(url):
    for read in (Store(url).read_stamp, Store(url).read):
        with pytest.raises(PartDamaged, match="is not there"):
            read("a-00000.parquet")


def test_a_footer_larger_than_the_first_read_is_found(url):
    schema = pa.schema([(f"column {number}", pa.string()) for number in range(1000)])
    wide = pa.table({name: ["x"] for name in schema.names}, schema=schema)
    store, stamp = Store(url), make_stamp(UNIT, "recipe", rows_of(UNIT)).to_json() | {"num_rows": 1}
    assert store.publish("wide.parquet", wide, stamp)
    assert store.read_stamp("wide.parquet").num_rows == 1


def test_a_parquet_file_of_someone_else_has_no_stamp(tmp_path):
    pq.write_table(rows_of(UNIT), tmp_path / "x.parquet")
    with pytest.raises(PartDamaged, match="no stamp"):
        Store(str(tmp_path)).read_stamp("x.parquet")


@pytest.mark.parametrize("url", ["ftp://host/x", "s3://", "hf://datasets/x"])
def test_an_output_of_another_kind_is_refused_with_what_is_known(url):
    with pytest.raises(Refused, match="s3://BUCKET/FOLDER"):
        Store(url)


def test_the_other_clouds_are_reached_by_the_settings_of_their_own_tools(monkeypatch):
    """Nothing is asked of them yet; that writes are conditional there is obstore's to know."""
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    for url in ("gs://bucket/out", "az://container/out/"):
        assert Store(url).url == url.rstrip("/")


def test_a_bucket_whose_region_nobody_knows_is_refused(monkeypatch):
    """obstore would take us-east-1 for granted, and every request to another region fails."""
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(Refused, match=r"s3://no\.such\.bucket\.of\.anyones/out cannot be reached"):
        Store("s3://no.such.bucket.of.anyones/out")


def test_whoever_only_reads_makes_no_folder(tmp_path):
    with pytest.raises(Refused, match="there is no such folder"):
        Store(str(tmp_path / "out"), create=False)
    publish(Store(str(tmp_path / "out")), UNIT, "recipe")
    assert list(Store(str(tmp_path / "out"), create=False).parts()) == [UNIT.part]


def test_an_output_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Refused, match=f"{tmp_path}/file/out cannot be reached"):
        Store(str(tmp_path / "file" / "out"))


def test_looking_at_an_output_does_not_create_it(tmp_path):
    with pytest.raises(Refused, match="no such folder"):
        Store(str(tmp_path / "out"), create=False)
    assert not (tmp_path / "out").exists()


def test_a_bucket_that_does_not_exist_fails_with_its_name(s3):
    store = Store("s3://nobody-has-this/out")
    with pytest.raises(StoreFailed, match="nobody-has-this"):
        store.parts()
    with pytest.raises(StoreFailed, match="nobody-has-this"):
        publish(store, UNIT, "recipe")
