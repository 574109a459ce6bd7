"""A process that is killed at each named moment of writing, by a real kill -9; then the same command again.

Alone, overtaken by another run while it hangs there, and beside another run; on a disk and in an object store.
"""

import os
import signal
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from relabel.data.store.failpoints import Failpoint
from relabel.data.store.store import Store
from tests.faults.job import PROCESSES, UNIT_ROWS, Child, assert_exact, to_the_end, write_source
from tests.faults.moments import some_of

pytestmark = pytest.mark.fault
SIZES = {"a": 5, "b": 4}
PARTS = ["a-00000.parquet", "a-00001.parquet", "b-00000.parquet", "b-00001.parquet"]
TORN = PARTS[1]
DELETING = {Failpoint.DELETING, Failpoint.DELETED}
ON_DISKS_ALONE = {Failpoint.STAGED, Failpoint.SYNCED, Failpoint.NAMED}
HELD_UP = 0.3
"""Seconds after which a run that hangs is killed: it may hold the lock of a disk, for which the other one waits."""


@pytest.fixture(params=["local", "s3"])
def output(request, tmp_path):
    return str(tmp_path / "out") if request.param == "local" else request.getfixturevalue("s3_url")


def new(output, source):
    write_source(source, **SIZES)


def half_done(output, source):
    """An output that gives a run something of everything to do: another plan, a part to delete, and of those to make
    one that is new, one that is torn and one that was made from what its file was before."""
    write_source(source, a=SIZES["a"] + UNIT_ROWS)
    to_the_end(output, source)
    Store(output).put_json(TORN, "torn")
    write_source(source, **SIZES)


def passed(output, source):
    """What an undisturbed run, and a retry of its rejects after it, tells of: point and name, in order."""
    seen = []
    to_the_end(output, source, lambda point, name: seen.append((point, name)), retry=True)
    return seen


def by_kind(moments):
    """The points that are passed with each kind of name."""
    points, published = defaultdict(set), set()
    for point, name in moments:
        kind = name
        if name in PARTS:
            kind = "a part that takes another's place" if name in published else "a part"
            published |= {name} if point == Failpoint.DONE else set()
        points[kind].add(point)
    return dict(points)


def run_until(output, source, last, here):
    """Hang at that moment until somebody says to go on or has gone, and die there."""
    left = last

    def on_failpoint(point, name):
        nonlocal left
        left -= 1
        if left == 0:
            if here is not None:
                here.send(name)
                here.poll(60)
            os.kill(os.getpid(), signal.SIGKILL)

    run(output, source, on_failpoint)


def run(output, source, *on_failpoint):
    to_the_end(output, source, *on_failpoint, retry=True)


def alone(output, source, moment):
    return Child(run_until, output, source, moment, None).exitcode()


def overtaken(output, source, moment):
    ours, theirs = PROCESSES.Pipe()
    killed = Child(run_until, output, source, moment, theirs)
    theirs.close()
    ours.recv()
    other = Child(run, output, source)
    other.exitcode(HELD_UP)
    ours.close()
    assert other.exitcode() == 0
    return killed.exitcode()


def beside(output, source, moment):
    killed, other = Child(run_until, output, source, moment, None), Child(run, output, source)
    assert other.exitcode() == 0
    return killed.exitcode()


def killed_at(output, tmp_path, before, company, *, every, first):
    """How the processes ended that were to die at moments of an undisturbed run."""

    def prepare(name):
        place, source = f"{output}/{name}", tmp_path / "sources" / name
        before(place, source)
        return place, source

    def kill_at(moment):
        place = prepare(str(moment))
        exitcode = company(*place, moment)
        assert_readers_see_whole_parts(place[0])
        assert_exact(*place, SIZES)
        return exitcode

    num_moments = len(passed(*prepare("undisturbed")))
    with ThreadPoolExecutor(3) as threads:
        return set(threads.map(kill_at, some_of(num_moments, every=every, first=first)))


def assert_readers_see_whole_parts(output):
    """With what anyone reads a folder with: a name such as `a.parquet#1` would be read, too."""
    if Path(output).exists():
        for path in ds.dataset(output).files:
            assert path.endswith(f"/{TORN}") or pq.read_table(path).num_rows > 0


@pytest.mark.parametrize("before", [new, half_done])
def test_a_run_passes_every_point_with_every_kind_of_name(output, tmp_path, before):
    """What the tests below kill at is all there is."""
    before(output, tmp_path / "source")
    writing = set(Failpoint) - DELETING - (ON_DISKS_ALONE if "://" in output else set())
    assert by_kind(passed(output, tmp_path / "source")) == {
        "_run.json" if before is new else "_plan-00001.json": writing,
        "_SUCCESS": writing | DELETING,
        "_ledger/parts": writing,
        "a part": writing,
        "a part that takes another's place": writing,
    } | ({"_gates.json": writing} if before is new else {"a-00002.parquet": DELETING})


def test_killed_at_any_point_the_same_command_ends_exactly(output, tmp_path):
    """What `new` passes, `half_done` passes too, but for `_run.json`."""
    assert killed_at(output, tmp_path, half_done, alone, every=1, first=1) == {-signal.SIGKILL}


@pytest.mark.parametrize(("before", "first"), [(new, 1), (half_done, 2)])
def test_killed_at_any_point_and_overtaken_there_the_same_command_ends_exactly(output, tmp_path, before, first):
    """Who overtakes begins with what is there."""
    assert killed_at(output, tmp_path, before, overtaken, every=3, first=first + ("://" in output)) == {-signal.SIGKILL}


@pytest.mark.parametrize(("before", "first"), [(new, 1), (half_done, 2)])
def test_killed_at_any_point_beside_another_run_the_same_command_ends_exactly(output, tmp_path, before, first):
    """Where the other one is faster there is less to write, and the last moments are never reached."""
    exitcodes = killed_at(output, tmp_path, before, beside, every=3, first=first + ("://" in output))
    assert exitcodes <= {0, -signal.SIGKILL}
    assert -signal.SIGKILL in exitcodes


def publish_late(output, source, here):
    """Hang once it is known whose output it is, until somebody says to go on, and die with the first part created."""

    def on_failpoint(point, name):
        if name in PARTS and point == Failpoint.SENDING:
            here.send(name)
            here.poll(60)
        if name in PARTS and point == Failpoint.DONE:
            os.kill(os.getpid(), signal.SIGKILL)

    run(output, source, on_failpoint)


@pytest.mark.parametrize(("theirs", "ended"), [("b", -signal.SIGKILL), ("a", 1)])
def test_killed_after_it_lost_its_output_a_run_leaves_no_part_to_the_recipe_that_has_it(
    output, tmp_path, theirs, ended
):
    """Its first part is one that the other does not plan, or one that the other has published: then it looks again."""
    mine, source = tmp_path / "mine", tmp_path / "theirs"
    write_source(mine, **SIZES)
    write_source(source, **{theirs: SIZES[theirs]})
    here, there = PROCESSES.Pipe()
    killed = Child(publish_late, output, mine, there)
    there.close()
    assert here.recv() == PARTS[0]
    assert to_the_end(output, source).complete, "there was no part: the output was bound to no recipe"
    here.send("go on")
    assert killed.exitcode(60) == ended
    assert (PARTS[0] in Store(output).parts()) == (theirs == "a" or ended < 0)
    assert_exact(output, source, {theirs: SIZES[theirs]})
