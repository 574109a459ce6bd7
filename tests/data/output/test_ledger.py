"""The ledger saves reading, and decides nothing: whatever it holds, a count says what the parts say."""

import os
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from relabel.data.output.audit import audit, conclude, resume, take_note
from relabel.data.output.ledger import LEDGER
from relabel.data.output.status import status
from relabel.data.output.verify import verify
from relabel.data.store.store import Store
from tests.data.output.counting import Counting, finish, labels_of, plainly
from tests.data.output.planned import MINE, PARTS, PLAN, A, begin_plan
from tests.outputs import flip_bit, make_plan, planned_file, publish


def test_a_run_reads_each_stamp_once_and_the_next_one_reads_none(store):
    for unit in begin_plan(store, PLAN).units:
        publish(store, unit, MINE, quality=labels_of(unit))
    first = Counting(store.url)
    assert resume(PLAN, first, MINE).done == tuple(PLAN.units)
    report = conclude(PLAN, first, MINE)
    assert first.read_names == PARTS
    later = Counting(store.url)
    assert resume(PLAN, later, MINE).done == tuple(PLAN.units)
    assert conclude(PLAN, later, MINE) == report
    assert audit(PLAN, later, MINE) == report
    assert status(later).report == report
    assert later.read_names == []
    assert plainly(store) == report


def test_a_run_that_publishes_the_rest_reads_that_alone(begun, out):
    store = Counting(str(out))
    resume(PLAN, store, MINE)
    store.read_names.clear()
    publish(begun, A.units[1], MINE)
    assert conclude(PLAN, store, MINE).complete
    assert store.read_names == [A.units[1].part]


def test_what_a_run_noted_before_it_was_killed_is_not_read_again(begun, out):
    """However often it noted: the quality of all is that of a count without a ledger."""
    for unit in PLAN.units:
        publish(begun, unit, MINE, quality=labels_of(unit))
        take_note(PLAN, begun, MINE, lambda: False)
    store = Counting(str(out))
    assert resume(PLAN, store, MINE).done == tuple(PLAN.units)
    report = conclude(PLAN, store, MINE)
    assert store.read_names == []
    assert report == plainly(begun)


def test_a_note_that_is_taken_when_the_run_is_over_is_none(begun):
    publish(begun, A.units[0], MINE)
    take_note(PLAN, begun, MINE, lambda: True)
    assert not (Path(begun.url) / LEDGER).exists()


def test_a_part_that_is_another_than_the_ledger_knows_is_read(store):
    """The others of its group too, whose quality stands there in one sum with its."""
    finish(store)
    seen = store.read(PARTS[1])
    unit = A.units[1]
    publish(store, unit, MINE, quality=labels_of(unit, "another label"), bad=seen.version)
    counting = Counting(store.url)
    assert resume(PLAN, counting, MINE).done == tuple(PLAN.units)
    assert counting.read_names == [PARTS[1]]
    report = conclude(PLAN, counting, MINE)
    assert sorted(counting.read_names) == PARTS
    assert report == plainly(store)


def test_no_success_stands_on_the_ledger(store):
    """Each kind of change that the listing shows."""
    finish(store)
    store.delete(PARTS[0])
    assert conclude(PLAN, store, MINE).missing == (PARTS[0],)
    store.put_json(PARTS[0], "torn")
    assert conclude(PLAN, store, MINE).damaged == (PARTS[0],)
    store.delete(PARTS[0])
    publish(store, A.units[0], "another recipe")
    assert conclude(PLAN, store, MINE).stale == (PARTS[0],)
    assert store.read_json("_SUCCESS") is None


def test_of_the_same_size_and_time_a_part_is_still_another_by_its_inode(tmp_path):
    """A retry that replaces it leaves it as long, and within one tick of the clock."""
    store = finish(Store(str(tmp_path)))
    old, new = tmp_path / PARTS[0], tmp_path / "_new"
    new.write_bytes(old.read_bytes())
    flip_bit(new, -40)
    times = old.stat()
    new.replace(old)
    os.utime(old, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert store.parts()[PARTS[0]].modified == times.st_mtime_ns // 1000
    assert conclude(PLAN, store, MINE).damaged == (PARTS[0],)


def test_bits_that_flip_under_the_same_time_are_found_by_verify(tmp_path):
    """A disk's own decay tells nobody: the count of a run reads a part once."""
    store = finish(Store(str(tmp_path)))
    part = tmp_path / PARTS[0]
    times = part.stat()
    flip_bit(part, -40)
    os.utime(part, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert conclude(PLAN, store, MINE).complete
    assert not verify(store).complete


def test_what_a_later_plan_asks_of_a_part_is_asked_of_the_ledger(store):
    """Its file is another version now: the stamp in the ledger says so, and what was read of its rows."""
    finish(store, make_plan(A))
    changed = planned_file("a.parquet", 10, version="2")
    begin_plan(store, make_plan(changed))
    counting = Counting(store.url)
    start = resume(make_plan(changed), counting, MINE)
    assert (start.done, sorted(start.bad), sorted(start.digests)) == ((), PARTS[:3], PARTS[:3])
    assert counting.read_names == []
    assert conclude(make_plan(changed), store, MINE).stale == tuple(PARTS[:3])


def test_a_part_that_was_deleted_and_made_again_is_counted_with_its_group(whole):
    conclude(PLAN, whole, MINE)
    whole.delete(PARTS[2])
    resume(PLAN, whole, MINE)
    publish(whole, A.units[2], MINE)
    counting = Counting(whole.url)
    assert conclude(PLAN, counting, MINE).complete
    assert sorted(counting.read_names) == PARTS
    counting.read_names.clear()
    assert conclude(PLAN, counting, MINE) == plainly(whole)
    assert counting.read_names == []


CHANGES = st.sampled_from(["publish", "replace", "delete", "tear", "other recipe", "old ledger", "resume", "conclude"])


@settings(max_examples=25)
@given(changes=st.lists(st.tuples(CHANGES, st.integers(0, 3)), max_size=14))
def test_after_whatever_happened_a_count_says_what_the_parts_say(tmp_path_factory, changes):
    """Also where a slower run writes down an older ledger than is there."""
    folder = tmp_path_factory.mktemp("out")
    store, units, old = Store(str(folder)), list(PLAN.units), b""
    begin_plan(store, PLAN)
    for number, (change, at) in enumerate(changes):
        unit, words = units[at], f"labels of {number}"
        version = store.version(unit.part)
        if change == "publish":
            publish(store, unit, MINE, quality=labels_of(unit, words))
        elif change == "replace" and version:
            publish(store, unit, MINE, quality=labels_of(unit, words), bad=version)
        elif change == "delete":
            store.delete(unit.part)
        elif change == "tear":
            (folder / unit.part).write_bytes(b"torn")
        elif change == "other recipe":
            store.delete(unit.part)
            publish(store, unit, "another recipe", quality=labels_of(unit, words))
        elif change == "old ledger" and (folder / LEDGER).exists():
            old, content = (folder / LEDGER).read_bytes(), old
            (folder / LEDGER).write_bytes(content)
        elif change == "resume":
            done = resume(PLAN, store, MINE).done
            assert len(done) == audit(PLAN, store, MINE).published
        elif change == "conclude":
            report = conclude(PLAN, store, MINE)
            assert (store.read_json("_SUCCESS") is not None) == report.complete
    counted = audit(PLAN, store, MINE)
    assert counted == plainly(store)
