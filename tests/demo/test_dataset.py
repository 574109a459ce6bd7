import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from relabel.demo.dataset import FAULTS, SCHEMA, fault_of, is_broken, make_row, write_dataset


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    write_dataset(folder, num_rows=1000, seed=3)
    return folder


@pytest.fixture(scope="module")
def table(folder):
    return pa.concat_tables([pq.read_table(path) for path in sorted(folder.glob("*.parquet"))])


def test_eight_shards_hold_every_row_once_and_in_order(folder, table):
    assert [path.name for path in sorted(folder.iterdir())] == [f"data-{k:05d}-of-00008.parquet" for k in range(8)]
    assert table.schema.equals(SCHEMA)
    assert table["id"].to_pylist() == list(range(1000))


def test_one_image_in_a_hundred_is_broken_and_the_others_open(table):
    opened = 0
    for row in table.select(["id", "image"]).to_pylist():
        if not is_broken(row["id"]):
            with Image.open(io.BytesIO(row["image"])) as image:
                image.load()
                opened += image.size[0] in (64, 96, 128)
    assert opened == 990


def test_every_fault_is_there_and_is_what_it_says():
    broken = {fault: make_row(0, FAULTS.index(fault) * 100 + 7)["image"] for fault in FAULTS}
    assert broken["null"] is None
    assert broken["empty"] == b""
    with pytest.raises(OSError, match="cannot identify"):
        Image.open(io.BytesIO(broken["not_an_image"]))
    with Image.open(io.BytesIO(broken["truncated"])) as image, pytest.raises(OSError, match=r"truncated|broken"):
        image.load()
    with pytest.warns(Image.DecompressionBombWarning):
        width, height = Image.open(io.BytesIO(broken["bomb"])).size
    assert width * height > 64_000_000
    assert len(broken["bomb"]) < 32_000


def test_the_smallest_dataset_has_a_broken_row(tmp_path):
    write_dataset(tmp_path, num_rows=8)
    assert [fault_of(row) for row in range(8)].count(None) == 7
    with pytest.raises(ValueError, match="at least 8 rows"):
        write_dataset(tmp_path, num_rows=7)


def test_caption_and_record_of_a_row_are_of_one_scene(table):
    for row in table.select(["truth", "scene"]).to_pylist():
        scene = json.loads(row["scene"])
        assert row["truth"].endswith(f", on a {scene['background']} background.")
        assert all(
            f"{s['size']} {s['colour']} {s['kind']} at the {s['place']}" in row["truth"] for s in scene["shapes"]
        )
        assert row["truth"].count(" at the ") == len(scene["shapes"]) == scene["count"]
        assert json.dumps(scene) == row["scene"]


def test_a_row_follows_from_its_seed_and_number(table):
    assert table.slice(123, 1).to_pylist() == [make_row(3, 123)]
    assert make_row(4, 123) != make_row(3, 123)
