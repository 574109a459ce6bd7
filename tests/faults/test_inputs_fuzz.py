"""A thousand damaged files of every format: each is read in full or costs itself, and nothing else escapes."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from relabel.data.prompts.images import decode_image
from relabel.errors import RelabelError, RowRejected
from tests.data.builders import source_of
from tests.faults import corpus
from tests.faults.corpus import read_planned
from tests.faults.mutate import flipped, mutated

NUM_FILES = 1000
ID_AND_TEXT = ["id", "text"]
TAR_COLUMNS = ["__key__", "image", "txt", "json"]
CASES = {
    "jsonl": ("a.jsonl", corpus.jsonl(), ["id", "text", "tags"], ["id", "text", "tags"]),
    "jsonl gzip": ("a.jsonl.gz", corpus.compressed(corpus.jsonl(), "gzip"), ID_AND_TEXT, ["id"]),
    "jsonl zstd": ("a.jsonl.zst", corpus.compressed(corpus.jsonl(), "zstd"), ID_AND_TEXT, ["id"]),
    "csv": ("a.csv", corpus.csv(), ID_AND_TEXT, ID_AND_TEXT),
    "openai": ("a.jsonl", corpus.openai(), ["custom_id", "messages", "settings"], ["custom_id"]),
    "webdataset": ("a.tar", corpus.webdataset(), TAR_COLUMNS, ["__key__", "txt", "json"]),
    "parquet": ("a.parquet", corpus.parquet(), [*ID_AND_TEXT, "image"], ID_AND_TEXT),
    "parquet without checksums": ("a.parquet", corpus.parquet_without_checksums(), [*ID_AND_TEXT, "tags"], ID_AND_TEXT),
}

pytestmark = pytest.mark.fault


def fuzz(folder, case, damage):
    """How many of the damaged files were read and how many were named. The seed of another error is told."""
    name, content, columns, keep = CASES[case]
    path = folder / name
    num_read = num_named = 0
    for seed in range(NUM_FILES):
        path.write_bytes(damage(content, seed))
        try:
            sound, _ = read_planned(source_of(path, case.split()[0]), columns, keep)
        except RelabelError:  # that no file of the source can be read may refuse it as a whole
            sound = {}
        except BaseException:
            print(f"{case}: {damage.__name__} with seed {seed}", file=sys.stderr)
            raise
        num_read += bool(sound)
        num_named += not sound
    return num_read, num_named


@pytest.mark.parametrize("case", [case for case in CASES if not case.startswith("parquet")])
def test_a_damaged_file_is_read_in_full_or_named(tmp_path, case):
    num_read, num_named = fuzz(tmp_path, case, mutated)
    assert num_read + num_named == NUM_FILES
    assert num_read > 0


@pytest.mark.parametrize("damage", [mutated, flipped])
@pytest.mark.parametrize("case", [case for case in CASES if case.startswith("parquet")])
def test_a_damaged_parquet_file_neither_stops_the_process_nor_anything_else(tmp_path, case, damage):
    """Decoded by C++ that may end the process, so in one of its own; its last words name the seed."""
    script = "from tests.faults.test_inputs_fuzz import *; import pathlib; "
    script += f"print(*fuzz(pathlib.Path(sys.argv[1]), {case!r}, {damage.__name__}))"
    command = [sys.executable, "-X", "faulthandler", "-c", script, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    assert sum(map(int, done.stdout.split())) == NUM_FILES


@pytest.mark.parametrize("case", ["jsonl", "openai"])
def test_damage_to_one_line_leaves_all_others_as_they_were(tmp_path, case):
    name, content, columns, _ = CASES[case]
    path, lines = tmp_path / name, content.splitlines(keepends=True)
    source = source_of(path, case)
    path.write_bytes(content)
    whole = read_planned(source, columns)[0][name]
    for seed in range(NUM_FILES):
        hit = random.Random(seed).randrange(len(lines))
        line = mutated(lines[hit][:-1], seed).replace(b"\n", b"") or b"?"
        if not line.strip():
            continue
        path.write_bytes(b"".join([*lines[:hit], line, b"\n", *lines[hit + 1 :]]))
        rows = read_planned(source, columns)[0][name]
        assert len(rows) == len(whole)
        assert [row for at, row in enumerate(rows) if at != hit] == [row for at, row in enumerate(whole) if at != hit]


def test_damaged_images_are_pixels_or_a_reason():
    sound = corpus.images()
    for seed in range(NUM_FILES):
        name = list(sound)[seed % len(sound)]
        assert is_pixels_or_a_reason(mutated(sound[name], seed)), (name, seed)


def is_pixels_or_a_reason(content):
    try:
        image = decode_image(content, root=None, max_bytes=2**20, max_pixels=10**5, fit_pixels=500)
    except RowRejected as rejected:
        return str(rejected).startswith("image: ")
    return image.mode == "RGB" and 0 < image.width * image.height <= 500


def test_damaged_images_in_a_folder_are_rows_all_the_same(tmp_path):
    sound = corpus.images()
    for seed in range(100):
        name = list(sound)[seed % len(sound)]
        (tmp_path / f"{seed:03}-{name}").write_bytes(mutated(sound[name], seed))
    (rows,) = read_planned(source_of(tmp_path, "images"), ["path", "image"])[0].values()
    assert len(rows) == 100
    assert [why for _, why in rows] == [None] * 100
