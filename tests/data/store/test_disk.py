"""A folder of this machine under whole writes: a part is there whole or not at all, whoever is killed.

Killed at every named moment, and a disk that is full after any number of bytes: `tests/faults`.
"""

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from relabel.data.store.disk import Disk
from relabel.data.store.failpoints import pass_by
from relabel.data.store.stamp import make_stamp
from relabel.data.store.store import Store
from relabel.errors import StoreFailed
from tests.outputs import planned_file, publish, rows_of

REPOSITORY = Path(__file__).parents[3]
UNIT = planned_file("a.parquet", 4).units[0]


def test_a_reader_that_has_the_old_part_open_reads_it_to_its_end(tmp_path):
    store, rows = Store(str(tmp_path)), rows_of(UNIT)
    publish(store, UNIT, "recipe", rows)
    with pq.ParquetFile(tmp_path / UNIT.part) as opened:
        one = rows.slice(0, 1)
        store.replace(UNIT.part, one, make_stamp(UNIT, "recipe", one).to_json(), store.read(UNIT.part).version)
        assert opened.read().num_rows == 4
    assert pq.read_table(tmp_path / UNIT.part).num_rows == 1


def test_a_file_in_the_way_of_a_folder_is_a_failure_and_not_a_lost_race(tmp_path):
    (tmp_path / "day").write_text("")
    with pytest.raises(StoreFailed, match=r"day/a-00000\.parquet"):
        publish(Store(str(tmp_path)), planned_file("day/a.parquet", 4).units[0], "recipe")


def test_who_was_stopped_in_the_middle_of_replacing_a_part_holds_others_up_for_a_while_at_most(tmp_path):
    disk = Disk(tmp_path, pass_by, lock_seconds=0.05)
    disk.create("a", b"old")
    with open(tmp_path / "_staging/lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(TimeoutError, match="another process has held _staging/lock"):
            disk.replace("a", b"new", lambda: True)
        store = Store(str(tmp_path))
        store.put_json("_SUCCESS", {})  # without a condition nobody waits
        store.delete("_SUCCESS")
    assert disk.replace("a", b"newest", lambda: True)


WRITER = """
import os, resource, signal, sys
from relabel.data.store.stamp import make_stamp
from relabel.data.store.store import Store
from tests.outputs import planned_file, publish, rows_of
folder, point, verb = sys.argv[1:]
store = Store(folder)
if point == "half of the bytes":
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
else:
    sys.addaudithook(lambda event, _: event == point and os.kill(os.getpid(), signal.SIGKILL))
unit = planned_file("a.parquet", 4).units[0]
if verb == "publish":
    publish(store, unit, "killed")
else:
    old = store.read(unit.part)
    store.replace(unit.part, rows_of(unit), make_stamp(unit, "killed", rows_of(unit)).to_json(), old.version)
"""


@pytest.mark.parametrize("point", ["half of the bytes", "os.remove"])
def test_a_writer_that_is_killed_leaves_a_whole_part_or_nothing_that_readers_see(tmp_path, point):
    """By the kernel, in the write that passes 1,000 bytes; or by itself, as it is about to make the named call."""
    write_until_killed(tmp_path, point, "publish")
    # What anyone reads a folder with: a name such as `a.parquet#1` or `a.tmp` would fail here.
    is_published = point == "os.remove"
    assert ds.dataset(str(tmp_path)).count_rows() == (4 if is_published else 0)
    store = Store(str(tmp_path))
    assert list(store.parts()) == ([UNIT.part] if is_published else [])
    assert publish(store, UNIT, "rerun") == (not is_published)
    assert store.read(UNIT.part).rows.equals(rows_of(UNIT))


@pytest.mark.parametrize("point", ["half of the bytes", "os.remove"])
def test_one_that_is_killed_while_it_replaces_a_part_leaves_the_old_one_or_the_new_one(tmp_path, point):
    store = Store(str(tmp_path))
    publish(store, UNIT, "old")
    write_until_killed(tmp_path, point, "replace")
    assert ds.dataset(str(tmp_path)).count_rows() == 4
    assert list(store.parts()) == [UNIT.part]
    assert store.read_stamp(UNIT.part).fingerprint == ("killed" if point == "os.remove" else "old")
    assert store.read(UNIT.part).rows.equals(rows_of(UNIT))


def write_until_killed(folder, point, verb):
    path = os.pathsep.join([*map(str, (REPOSITORY / "src", REPOSITORY)), os.environ.get("PYTHONPATH", "")])
    writer = [sys.executable, "-c", WRITER, str(folder), point, verb]
    killed = subprocess.run(writer, env=os.environ | {"PYTHONPATH": path}, stderr=subprocess.PIPE, text=True)
    assert killed.returncode in (-signal.SIGKILL, -signal.SIGXFSZ), killed.stderr
