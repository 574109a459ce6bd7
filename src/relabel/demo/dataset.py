"""The demonstration dataset: drawn scenes with noisy alt text, the true caption and the true record, one image in
a hundred broken.

Row k of a seed is always the same row. Knows nothing of models or labels.
"""

from __future__ import annotations

import functools
import io
import json
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from relabel.demo.drawing import draw
from relabel.demo.noise import noisy
from relabel.demo.scene import random_scene

SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("image", pa.binary()),
        ("alt_text", pa.string()),
        ("truth", pa.string()),
        ("scene", pa.string()),
    ]
)
"""`truth` is the caption of the scene, `scene` its record as JSON."""
SIDES = (64, 96, 128)
FAULTS = ("truncated", "not_an_image", "empty", "null", "bomb")
"""What is wrong with a broken image, in the order in which broken rows take it."""
BOMB_SIDE = 12_000
"""144 million pixels: over the default limit of 64 million, in 18 kB."""
ROW_GROUP = 128


def is_broken(row: int) -> bool:
    """Whether the image of a row is broken on purpose, whatever the seed: rows 7, 107, 207, ..."""
    return row % 100 == 7


def fault_of(row: int) -> str | None:
    """What is wrong with the image of a row, or None."""
    return FAULTS[row // 100 % len(FAULTS)] if is_broken(row) else None


def make_row(seed: int, row: int) -> dict[str, int | bytes | str | None]:
    """One row of `SCHEMA`."""
    rng = random.Random(f"demo {seed} {row}")
    scene = random_scene(rng)
    kind, side = rng.choice(("PNG", "JPEG")), rng.choice(SIDES)
    encoded = _encoded(draw(scene, side), kind)
    return {
        "id": row,
        "image": _broken(encoded, fault_of(row)),
        "alt_text": noisy(scene.caption, rng),
        "truth": scene.caption,
        "scene": json.dumps(scene.record),
    }


def write_dataset(folder: str | Path, num_rows: int, seed: int = 0, num_shards: int = 8) -> list[Path]:
    """Write `num_rows` rows as `num_shards` Parquet files into `folder`, in order, and return their paths."""
    if num_rows < max(num_shards, 8):
        raise ValueError(f"the demo needs at least {max(num_shards, 8)} rows (one in each shard, one of them broken)")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for shard in range(num_shards):
        first, end = shard * num_rows // num_shards, (shard + 1) * num_rows // num_shards
        table = pa.Table.from_pylist([make_row(seed, row) for row in range(first, end)], schema=SCHEMA)
        path = folder / f"data-{shard:05d}-of-{num_shards:05d}.parquet"
        pq.write_table(table, path, row_group_size=ROW_GROUP, compression="zstd", write_page_checksum=True)
        paths.append(path)
    return paths


def _encoded(image: Image.Image, kind: str) -> bytes:
    encoded = io.BytesIO()
    image.save(encoded, kind, **({"quality": 90} if kind == "JPEG" else {}))
    return encoded.getvalue()


def _broken(encoded: bytes, fault: str | None) -> bytes | None:
    if fault == "truncated":
        return encoded[: len(encoded) // 2]
    if fault == "not_an_image":
        return b"<html><head><title>404 Not Found</title></head></html>"
    if fault == "empty":
        return b""
    if fault == "null":
        return None
    if fault == "bomb":
        return _bomb()
    return encoded


@functools.cache
def _bomb() -> bytes:
    return _encoded(Image.new("1", (BOMB_SIDE, BOMB_SIDE)), "PNG")
