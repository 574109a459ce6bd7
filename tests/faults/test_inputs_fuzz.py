"""Damaged files of every format: each is read in full or costs itself, and nothing else escapes."""

import contextlib
import random
import subprocess
import sys
from pathlib import Path

import pytest

from relabel.errors import RelabelError
from tests.data.builders import source_of
from tests.faults import corpus
from tests.faults.corpus import read_planned
from tests.faults.mutate import flipped, mutated
from tests.faults.seeds import check_each, seeds_of

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
    """Reads the file undamaged, so that what is refused is so for its damage alone, and then damaged by each seed.

    `folder/seed` says which is being read.
    """
    name, content, columns, keep = CASES[case]
    source, path, test = source_of(folder / name, case.split()[0]), folder / name, f"{case}, {damage.__name__}"
    path.write_bytes(content)
    sound, _ = read_planned(source, columns, keep)
    assert set(sound) == {name}

    def check(seed):
        (folder / "seed").write_text(str(seed))
        path.write_bytes(damage(content, seed))
        # that no file of the source can be read may refuse it as a whole
        with contextlib.suppress(RelabelError):
            read_planned(source, columns, keep)

    check_each(seeds_of(test), test, check)


@pytest.mark.parametrize("case", [case for case in CASES if not case.startswith("parquet")])
def test_a_damaged_file_is_read_in_full_or_named(tmp_path, case):
    fuzz(tmp_path, case, mutated)


@pytest.mark.parametrize("damage", [mutated, flipped])
@pytest.mark.parametrize("case", [case for case in CASES if case.startswith("parquet")])
def test_a_damaged_parquet_file_neither_stops_the_process_nor_anything_else(tmp_path, case, damage):
    """Decoded by C++ that may end the process, so in one of its own."""
    script = "from tests.faults.test_inputs_fuzz import *; import pathlib; "
    script += f"fuzz(pathlib.Path(sys.argv[1]), {case!r}, {damage.__name__})"
    command = [sys.executable, "-X", "faulthandler", "-c", script, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, f"seed {(tmp_path / 'seed').read_text()}: {done.stderr}"


@pytest.mark.parametrize("case", ["jsonl", "openai"])
def test_damage_to_one_line_leaves_all_others_as_they_were(tmp_path, case):
    name, content, columns, _ = CASES[case]
    path, lines, test = tmp_path / name, content.splitlines(keepends=True), f"{case}, one line"
    source = source_of(path, case)
    path.write_bytes(content)
    whole = read_planned(source, columns)[0][name]

    def check(seed):
        hit = random.Random(seed).randrange(len(lines))
        line = mutated(lines[hit][:-1], seed).replace(b"\n", b"") or b"?"
        if not line.strip():
            return
        path.write_bytes(b"".join([*lines[:hit], line, b"\n", *lines[hit + 1 :]]))
        rows = read_planned(source, columns)[0][name]
        assert len(rows) == len(whole)
        assert [row for at, row in enumerate(rows) if at != hit] == [row for at, row in enumerate(whole) if at != hit]

    check_each(seeds_of(test), test, check)


def test_damaged_images_in_a_folder_are_rows_all_the_same(tmp_path):
    """What becomes of each image: `tests/data/images/test_damaged.py`."""
    sound = corpus.images()
    seeds = seeds_of("images in a folder")
    for seed in seeds:
        name = list(sound)[seed % len(sound)]
        (tmp_path / f"{seed}-{name}").write_bytes(mutated(sound[name], seed))
    (rows,) = read_planned(source_of(tmp_path, "images"), ["path", "image"])[0].values()
    assert len(rows) == len(seeds)
    assert [why for _, why in rows] == [None] * len(seeds)
