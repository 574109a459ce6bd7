"""What is heard of runs: how old their last word is, whether they are silent, and what all have spent."""

import time

import pytest

from relabel.data.runs.heard import FOLDER, hear, say
from relabel.data.store.store import Store
from tests.data.runs.beats import beat


@pytest.fixture(params=["local", "s3"])
def store(request, tmp_path):
    return Store(str(tmp_path / "out") if request.param == "local" else request.getfixturevalue("s3_url"))


def test_the_last_word_of_each_run_is_heard_and_readers_of_the_output_see_none(store):
    assert hear(store).to_json() == {
        "spent": {"runs": 0, "gpu_hours": 0, "dollars": None},
        "runs": [],
        "unreadable_runs": [],
    }
    say(store, beat("2-b", started=2000.0, state="ended", gpu_hours=1.0, price=2.5))
    say(store, beat("1-a", state="starting"))
    say(store, beat("1-a", state="failed", why="Ray ended the run"))
    store.put_json(f"{FOLDER}/3-c.json", {"run": "3-c"})
    runs = hear(store)
    assert [one.beat.run for one in runs.heard] == ["1-a", "2-b"]
    assert (runs.gpu_hours, runs.dollars(), runs.dollars(1.0)) == (4.0, 2.5, 5.5)
    assert runs.to_json()["unreadable_runs"] == [f"{FOLDER}/3-c.json"]
    assert [one["run"] for one in runs.to_json()["runs"]] == ["2-b"], "the newest, where none is at work"
    assert store.names() == {}


def test_age_is_by_the_clock_of_the_store_whatever_the_driver_says(store):
    """On a disk and in a store alike: the time at which the document was written there."""
    say(store, beat(said=5.0))
    (one,) = hear(store).heard
    assert abs(one.age) < 30
    assert one.clocks_apart < -(10**9), "the driver's clock is decades behind"


@pytest.mark.parametrize(("later", "is_silent"), [(30, False), (41, True)])
def test_a_run_is_silent_after_four_periods_without_a_word(tmp_path, later, is_silent):
    store = Store(str(tmp_path / "out"))
    say(store, beat())
    say(store, beat("1-ended", state="ended"))
    runs = hear(store, now=lambda: time.time() + later)
    assert [one.is_silent for one in runs.heard] == [False, is_silent]
    assert [one["silent"] for one in runs.to_json()["runs"]] == [is_silent], "the live one alone"


def test_a_document_that_is_too_large_is_not_read(tmp_path):
    store = Store(str(tmp_path / "out"))
    store.put_json(f"{FOLDER}/x.json", "x" * 10**6)
    (tmp_path / "out" / FOLDER / "note.txt").write_text("mine")
    assert hear(store).unreadable == [f"{FOLDER}/note.txt", f"{FOLDER}/x.json"]
