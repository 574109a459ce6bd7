import io
import json
import os
import tarfile

import pytest
from PIL import Image

from relabel.data.exports.export import export
from relabel.data.store.store import Store
from relabel.errors import StoreFailed
from tests.data.exports.labelled import labelled, write_lines, write_parquet


def picture(shade, form="JPEG"):
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (shade, 0, 0)).save(file, form)
    return file.getvalue()


def samples_of(*shards):
    """The members of each key by suffix."""
    found = {}
    for shard in shards:
        with tarfile.open(shard) as tar:
            for member in tar:
                key, _, suffix = member.name.partition(".")
                found.setdefault(key, {})[suffix] = tar.extractfile(member).read()
    return found


def test_a_sample_is_an_image_byte_for_byte_its_label_and_its_row(tmp_path):
    images = [picture(shade) for shade in range(5)] + [picture(5, "PNG")]
    write_parquet(tmp_path, "a", image=images, alt=[f"text {row}" for row in range(6)])
    store = labelled(tmp_path, format="parquet", image=["image"])
    written = export(store, str(tmp_path / "x.tar"), join=True)
    assert (written.format, written.files, written.rows, written.without_image) == ("webdataset", 1, 6, 0)
    samples = samples_of(tmp_path / "x-000000.tar")
    assert list(samples) == [f"{row:09d}" for row in range(6)]
    assert [sample.get("jpg") or sample["png"] for sample in samples.values()] == images
    assert samples["000000001"]["txt"] == b"label 1"
    row = json.loads(samples["000000001"]["json"])
    assert (row["alt"], row["caption"], row["status"]) == ("text 1", "label 1", "ok")
    assert sorted(samples["000000005"]) == ["json", "png"], "a reject has no label"


def test_rows_name_images_by_path_in_lists_and_in_vain(tmp_path):
    """Several are numbered; the key is the row's number, whichever rows are left out before it."""
    (tmp_path / "source").mkdir()
    for name in ("one", "two"):
        (tmp_path / "source" / f"{name}.png").write_bytes(picture(len(name), "PNG"))
    write_lines(tmp_path, "a", [{"i": ["one.png", "two.png"]}, {"i": "gone.png"}, {"i": "one.png"}, {"i": "two.png"}])
    write_lines(tmp_path, "b", [{"i": []}, {"i": "one.png"}])
    store = labelled(tmp_path, image=["i"])
    written = export(store, str(tmp_path / "x.tar"), only_ok=True)
    assert (written.rows, written.without_image) == (4, 2)
    samples = samples_of(tmp_path / "x-000000.tar")
    assert list(samples) == ["000000000", "000000001", "000000002", "000000004"]
    assert sorted(samples["000000000"]) == ["0.png", "1.png", "json", "txt"]
    assert sorted(samples["000000001"]) == ["json", "txt"]


@pytest.fixture
def store(tmp_path):
    """Twelve rows of which five fit into a shard of a megabyte."""
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "i.png").write_bytes(picture(1, "PNG") + b"\0" * 190_000)
    for name in "ab":
        write_lines(tmp_path, name, [{"i": "i.png"}] * 6)
    return labelled(tmp_path, image=["i"])


def shards_of(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.tar")}


def test_shards_are_bounded_and_together_hold_every_row_once(store, tmp_path):
    assert export(store, str(tmp_path / "x.tar"), shard_mb=1).files == 3
    shards = sorted(tmp_path.glob("x-*.tar"))
    assert [len(samples_of(shard)) for shard in shards] == [5, 5, 2]
    assert all(shard.stat().st_size <= 10**6 + tarfile.RECORDSIZE for shard in shards)
    assert list(samples_of(*shards)) == [f"{row:09d}" for row in range(12)]


class Failing(Store):
    """A store that goes away after some parts."""

    def __init__(self, url, num_reads):
        super().__init__(url)
        self.num_left = num_reads

    def read(self, part):
        self.num_left -= 1
        if self.num_left < 0:
            raise StoreFailed("the store is gone")
        return super().read(part)


@pytest.mark.parametrize("num_reads", range(5))
def test_the_same_call_goes_on_with_the_next_shard(store, tmp_path, num_reads):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    expected = export(store, str(whole / "x.tar"), shard_mb=1)
    if num_reads < 4:
        with pytest.raises(StoreFailed):
            export(Failing(store.url, num_reads), str(broken / "x.tar"), shard_mb=1)
    before = {path.name: path.stat().st_ino for path in broken.glob("*.tar")}
    assert len(before) == [0, 0, 1, 1, 0][num_reads]
    assert export(store, str(broken / "x.tar"), shard_mb=1) == expected
    assert shards_of(broken) == shards_of(whole)
    assert {name: (broken / name).stat().st_ino for name in before} == before


def test_a_call_that_finds_all_of_it_reads_nothing(store, tmp_path):
    expected = export(store, str(tmp_path / "x.tar"))
    assert export(Failing(store.url, 0), str(tmp_path / "x.tar")) == expected


def test_shards_of_another_state_of_the_output_are_replaced(store, tmp_path):
    export(store, str(tmp_path / "x.tar"), shard_mb=1)
    assert export(store, str(tmp_path / "x.tar"), shard_mb=2).files == 2
    assert len(shards_of(tmp_path)) == 2
    store.delete("a-00000.parquet")
    written = export(store, str(tmp_path / "x.tar"), shard_mb=1)
    assert (written.rows, written.missing) == (8, 1)
    assert min(samples_of(*tmp_path.glob("x-*.tar"))) == "000000004"


def test_shards_go_to_an_object_store(store, s3_url, tmp_path):
    assert export(store, f"{s3_url}/x.tar", shard_mb=1).files == 3
    assert list(Store(s3_url).names()) == [f"x-00000{shard}.tar" for shard in range(3)]
    assert export(Failing(store.url, 0), f"{s3_url}/x.tar", shard_mb=1).files == 3
    Store(s3_url).put_json("x-000002.tar", "another")
    assert export(store, f"{s3_url}/x.tar", shard_mb=1).files == 3
    assert Store(s3_url).names()["x-000002.tar"].size > len("another")


def test_where_prompts_show_no_images_the_source_is_not_opened(tmp_path):
    write_lines(tmp_path, "a", [{"alt": "x"}] * 4)
    store = labelled(tmp_path)
    (tmp_path / "source/a.jsonl").unlink()
    assert export(store, str(tmp_path / "x.tar")).complete
    assert [sorted(sample) for sample in samples_of(tmp_path / "x-000000.tar").values()] == [["json", "txt"]] * 3 + [
        ["json"]
    ]


@pytest.mark.parametrize("is_killed", [False, True])
@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_shards_that_are_not_as_they_were_written_are_written_anew(store, tmp_path, is_killed, damage):
    """Also where the note says that all are there."""
    whole, other = tmp_path / "whole", tmp_path / "other"
    expected = export(store, str(whole / "x.tar"), shard_mb=1)
    if is_killed:
        with pytest.raises(StoreFailed):
            export(Failing(store.url, 3), str(other / "x.tar"), shard_mb=1)
    else:
        export(store, str(other / "x.tar"), shard_mb=1)
    if damage == "gone":
        (other / "x-000000.tar").unlink()
    else:
        os.truncate(other / "x-000000.tar", 10240)
    assert export(store, str(other / "x.tar"), shard_mb=1) == expected
    assert shards_of(other) == shards_of(whole)


def test_a_shard_that_a_kill_left_without_a_note_goes_with_the_others(store, tmp_path):
    """Whoever reads all shards would read its rows twice; other names are nobody's business here."""
    others = ["x-00000.tar", "x-0000000.tar", "x-000000.tar.gz", "xx-000000.tar", "x-000000.json", "x.tar"]
    (tmp_path / "folder").mkdir()
    for name in [*others, "x-000007.tar", "folder/x-000000.tar"]:
        (tmp_path / name).write_bytes(b"of before")
    assert export(store, str(tmp_path / "x.tar"), shard_mb=2).files == 2
    (tmp_path / "x-000002.tar").write_bytes(b"killed before its note")
    assert export(store, str(tmp_path / "x.tar"), shard_mb=4).files == 1
    assert sorted(path.name for path in tmp_path.glob("x-??????.tar")) == ["x-000000.tar"]
    assert all((tmp_path / name).read_bytes() == b"of before" for name in [*others, "folder/x-000000.tar"])


def test_shards_without_a_note_go_from_an_object_store_too(store, s3_url):
    for shard in (1, 2, 7):
        Store(s3_url).put_json(f"x-00000{shard}.tar", "of before")
    assert export(store, f"{s3_url}/x.tar", shard_mb=2).files == 2
    assert list(Store(s3_url).names()) == ["x-000000.tar", "x-000001.tar"]
