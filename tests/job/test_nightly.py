"""A job that runs every night over a folder in which files come, go and change: what is asked, and what stays."""

import json

import pytest

from relabel.data.output.status import status
from relabel.data.output.verify import verify
from relabel.engine.scripted import ScriptedEngine
from relabel.errors import RecipeChanged, SourceChanged
from relabel.job.local import InProcess
from relabel.job.retry import retry
from tests.job.nights import UNIT_ROWS, Nightly
from tests.reading import assert_every_row_once, rows_of


@pytest.fixture
def job(tmp_path):
    return Nightly(tmp_path)


def test_each_night_asks_the_new_and_the_changed_rows_alone(job):
    for name in "abcdefghij":
        job.write(name, 10)
    assert job.night().complete
    assert len(job.asked) == 100
    job.delete("a")
    job.delete("b")
    job.append("c", 3)  # its last unit had 2 rows, and has 4 now; one row stands in a unit of its own
    job.touch("d")
    for name in "klm":
        job.write(name, 5)
    with pytest.raises(SourceChanged, match=r": c\.jsonl; run with --redo-changed"):
        job.night()
    assert job.asked == []
    report = job.night(redo_changed=True)
    assert len(job.asked) == 4 + 1 + 3 * 5
    assert (report.audit.gone_files, report.audit.gone_rows, report.audit.lost_rows) == (2, 20, 0)
    job.assert_whole()
    assert job.night().complete
    assert job.asked == []
    job.fields["prompt"] = {"user": "Another: {{ alt }}"}
    with pytest.raises(RecipeChanged, match=r"prompt\.user"):
        job.night()
    assert job.asked == []


def test_labels_of_a_file_that_is_gone_stay_are_counted_and_are_not_asked_again(job, caplog):
    job.answer = lambda request: "no"
    job.fields["label"] = {"column": "caption", "parse": "choice", "choices": ["yes"], "gate": {"max_rejected": None}}
    for name in "ab":
        job.write(name, 6)
    assert job.night().audit.rejected == 12
    job.delete("a")
    assert {name: job.plan()[name] for name in ("files", "units", "rows", "gone_files")} == {
        "files": 1,
        "units": 4,
        "rows": 12,
        "gone_files": 1,
    }
    report = job.night()
    assert (report.to_json()["gone_files"], report.audit.rows, report.audit.rejected) == (1, 12, 12)
    assert "1 source files are gone, and their labels stay" in caplog.text
    assert_every_row_once(job.out, job.sizes)
    assert verify(job.store).problems == ()
    assert status(job.store).to_json()["gone_files"] == 1
    engine = ScriptedEngine(lambda request: "yes")
    done = retry(str(job.out), overrides=["label.retry_temperatures=[1.0]"], execute=InProcess(load=lambda _: engine))
    assert (done.figures["rows"], done.audit.rejected) == (6, 6)
    assert "their rejects cannot be asked again" in caplog.text


def test_labels_of_a_file_that_is_gone_go_where_the_source_says_so(job, caplog):
    for name in "ab":
        job.write(name, 6)
    job.night()
    job.delete("a")
    assert job.plan(removed="drop")["dropped_files"] == 1
    report = job.night(removed="drop")
    assert (report.to_json()["dropped_files"], report.audit.rows) == (1, 6)
    assert "1 source files are gone, and their labels go with them" in caplog.text
    del job.sizes["a.jsonl"]
    job.assert_whole()
    assert job.asked == []


def test_a_file_that_is_gone_is_refused_where_the_source_says_so(job):
    for name in "ab":
        job.write(name, 6)
    job.night()
    job.delete("a")
    with pytest.raises(SourceChanged, match=r"gone .*: a\.jsonl; put it back, set source\.removed"):
        job.night(removed="refuse")
    job.assert_whole()


def test_rows_that_went_before_they_were_labelled_are_counted_and_not_missing(job):
    for name in "ab":
        job.write(name, 6)
    job.night()
    (job.out / "a-00001.parquet").unlink()
    job.delete("a")
    report = job.night()
    assert (report.complete, report.audit.lost_rows, report.audit.rows) == (True, 2, 10)
    assert verify(job.store).problems == ()


def test_a_file_that_comes_back_is_gone_on_with(job):
    for name in "ab":
        job.write(name, 6)
    job.night()
    (job.out / "a-00001.parquet").unlink()
    content = (job.source / "a.jsonl").read_bytes()
    job.delete("a")
    job.night()
    (job.source / "a.jsonl").write_bytes(content)
    job.touch("a")
    assert job.night().audit.gone_files == 0
    assert len(job.asked) == 2
    job.assert_whole()


@pytest.mark.parametrize("removed", ["keep", "drop"])
def test_a_file_that_was_renamed_is_one_that_is_gone_and_one_that_is_new(job, removed):
    """Its parts would have the same names."""
    job.write("a", 6)
    job.write("b", 6)
    job.night()
    (job.source / "a.jsonl").rename(job.source / "a.ndjson")
    job.sizes["a.ndjson"] = 6
    if removed == "drop":
        del job.sizes["a.jsonl"]
    assert job.night(removed=removed).audit.rows == sum(job.sizes.values())
    assert len(job.asked) == 6
    job.assert_whole()


@pytest.mark.parametrize("redo_changed", [False, True])
def test_a_file_with_other_bytes_and_the_same_rows_keeps_its_labels(job, redo_changed):
    job.write("a", 10)
    job.night()
    before = rows_of(job.out)
    job.write("a", 10, extra={"nobody": "reads this"})
    assert job.night(redo_changed=redo_changed).complete
    assert job.asked == []
    job.assert_whole()
    assert rows_of(job.out) == before
    job.night()
    assert job.asked == []


@pytest.mark.parametrize("column", ["id", "alt"])
def test_a_row_that_reads_otherwise_is_refused_and_asked_again_with_its_unit_on_request(job, column):
    job.write("a", 10)
    job.write("b", 10)
    job.night()
    lines = [json.loads(line) for line in (job.source / "b.jsonl").read_text().splitlines()]
    lines[5][column] = "another"
    (job.source / "b.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    job.write("c", 3)
    for _ in range(2):
        with pytest.raises(SourceChanged, match=r": b\.jsonl; run with --redo-changed"):
            job.night()
    assert not status(job.store).success
    assert_every_row_once(job.out, job.sizes)
    assert job.night(redo_changed=True).complete
    assert len(job.asked) == UNIT_ROWS
    job.assert_whole()
    if column == "id":
        assert rows_of(job.out)[15]["id"] == "another"


def strip_digests(job):
    """As an earlier version of relabel left them."""
    for name in job.store.parts():
        part = job.store.read(name)
        stamp = {key: value for key, value in part.stamp.to_json().items() if key != "digest"}
        assert job.store.replace(name, part.rows, stamp, part.version)


def test_parts_that_do_not_say_what_was_read_are_asked_again_as_they_were(job):
    job.write("a", 6)
    job.write("b", 6)
    job.night()
    strip_digests(job)
    assert job.night().complete
    assert job.asked == []
    job.touch("a")
    with pytest.raises(SourceChanged, match=r": a\.jsonl; run with --redo-changed"):
        job.night()
    job.assert_whole()
    assert job.night(redo_changed=True).complete
    assert len(job.asked) == 6
    job.assert_whole()


@pytest.mark.parametrize("redo_changed", [False, True])
def test_a_file_that_cannot_be_read_for_a_night_keeps_its_labels(job, redo_changed):
    """An upload that is under way, a disk that gives half of a file."""
    job.write("a", 6)
    job.write("b", 6)
    job.night()
    content = (job.source / "b.jsonl").read_bytes()
    (job.source / "b.jsonl").write_bytes(content.decode().encode("utf-16"))
    job.write("c", 3)
    report = job.night(redo_changed=redo_changed)
    assert len(job.asked) == 3
    assert (report.complete, report.audit.rows, [path for path, _ in report.audit.unreadable]) == (
        False,
        15,
        ["b.jsonl"],
    )
    assert_every_row_once(job.out, job.sizes)
    (job.source / "b.jsonl").write_bytes(content)
    job.touch("b")
    assert job.night(redo_changed=redo_changed).complete
    assert job.asked == []
    job.assert_whole()
