"""The rejected rows of a finished run asked once more: what changes, and what does not."""

import json
import threading
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from relabel import make_spec, run
from relabel.cli import app
from relabel.data.output.verify import verify
from relabel.data.store.store import Store
from relabel.demo import MODEL_PATH
from relabel.job.job import Retry
from relabel.job.prepare import prepare
from relabel.job.retry import retry
from relabel.job.stages.block import PROMPT_IDS
from relabel.job.stages.read import read_unit
from tests.conftest import small_spec
from tests.job.retrying import ALL, LABEL, Here, fields_of, only, place, rejected
from tests.pictures import png
from tests.reading import assert_every_row_once, rows_of


class Watching(threading.Thread):
    """Lists and reads a folder in a loop, as a reader does who knows nothing of retries."""

    def __init__(self, folder):
        super().__init__()
        self._folder, self._is_over = folder, threading.Event()
        self.seen = []

    def run(self):
        while not self._is_over.wait(0.02):
            self.seen.append([place(row) for row in rows_of(self._folder)])

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self._is_over.set()
        self.join()


def test_rejects_get_labels_and_whoever_reads_meanwhile_sees_every_row_once(done, tmp_path):
    before, out = rows_of("out"), tmp_path / "out"
    bytes_before = {path.name: path.read_bytes() for path in out.glob("*.parquet")}
    num_asked = len(rejected(before, "parse"))
    assert 10 < num_asked < 110
    with Watching(out) as watching:
        report = Here(done).retry("parse")
    assert len(watching.seen) > 3
    assert all(places == [place(row) for row in before] for places in watching.seen)

    after = assert_every_row_once(out, ALL)
    asked = {place(row) for row in rejected(before, "parse")}
    assert [row for row in after if place(row) not in asked] == [row for row in before if place(row) not in asked]
    again = [row for row in after if place(row) in asked]
    assert {row["attempts"] for row in again} == {2}
    assert len(rejected(again)) < num_asked
    assert all((row["caption"] is None) == (row["status"] == "rejected") for row in again)
    assert len(rejected(after, "source")) == 1, "its reason was not named"

    touched = {name for name, data in bytes_before.items() if (out / name).read_bytes() != data}
    with_rejects = {
        f"{row['source_file'][0]}-{row['source_row'] // 10:05d}.parquet" for row in rejected(before, "parse")
    }
    assert touched == with_rejects
    figures = report.to_json()
    assert report.complete
    assert (figures["parts"], figures["rows"]) == (len(touched), num_asked)
    assert (figures["ok"], figures["rejected"]) == (num_asked - len(rejected(again)), len(rejected(again)))
    assert figures["output"]["rejected"] == len(rejected(after))
    assert verify(Store("out")).problems == ()
    assert json.loads((out / "_SUCCESS").read_text())["ok"] == 120 - len(rejected(after))
    assert run(make_spec(done)).done_now == {}


def test_one_that_was_stopped_between_two_parts_goes_on_with_what_is_still_rejected(done, tmp_path):
    here, before = Here(done), rows_of("out")
    first = here.retry("parse", execute=only({f"a-{index:05d}.parquet" for index in range(4)}, here.execute))
    assert first.figures["ok"] > 0
    rows = assert_every_row_once(tmp_path / "out", ALL)
    assert len(rejected(rows)) == len(rejected(before)) - first.figures["ok"]
    assert verify(Store("out")).problems == ()
    report = here.retry("parse", attempts=3)
    assert report.figures["rows"] == len(rejected(rows, "parse"))
    after = assert_every_row_once(tmp_path / "out", ALL)
    assert len(rejected(after, "parse")) < len(rejected(rows, "parse")) / 2
    assert max(row["attempts"] or 0 for row in after) == 5
    assert verify(Store("out")).problems == ()


def test_a_picture_that_was_put_back_gets_its_label_and_one_that_is_still_missing_its_reason(tmp_path):
    rows = [{"id": str(row), "image": f"{row}.png"} for row in range(6)]
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for row in (0, 3, 5):
        (tmp_path / f"data/{row}.png").write_bytes(png((64, 64), "red"))
    fields = small_spec(tmp_path, MODEL_PATH) | {"prompt": {"user": "What is it?", "image": "image"}}
    fields["source"]["unit_rows"] = 2
    here = Here(fields).run()
    before = here.rows
    assert [row["status"] == "ok" for row in before] == [True, False, False, True, False, True]
    for row in (1, 2):
        (tmp_path / f"data/{row}.png").write_bytes(png((64, 64), "blue"))
    untouched = (tmp_path / "out/a-00002.parquet").read_bytes()
    report = here.retry()
    assert (report.figures["rows"], report.figures["ok"], report.figures["rejected"]) == (3, 2, 1)
    after = here.rows
    assert [row["status"] == "ok" for row in after] == [True, True, True, True, False, True]
    assert [after[row] for row in (0, 3, 4, 5)] == [before[row] for row in (0, 3, 4, 5)]
    assert [after[row]["attempts"] for row in (1, 2)] == [1, 1]
    assert (tmp_path / "out/a-00002.parquet").read_bytes() == untouched, "nothing in it is new"


@pytest.mark.parametrize(
    ("label", "later"),
    [({}, [{}, {}]), ({"retry_temperatures": [0.3, 2.0]}, [{"attempts": 2}])],
    ids=["two retries", "one up the ladder"],
)
def test_a_retry_draws_what_more_attempts_in_the_run_would_have_drawn(text_model, jsonl_source, tmp_path, label, later):
    """Also: attempts and tokens count on, and no draw is made twice."""
    at_once = Here(fields_of(tmp_path, text_model, "at_once", attempts=3, **label)).run()
    here = Here(fields_of(tmp_path, text_model, **label)).run()
    assert here.rows != at_once.rows
    for changes in later:
        here.retry(**changes)
    assert here.rows == at_once.rows
    assert {row["attempts"] for row in here.rows} == {1, 2, 3}


def test_of_several_labels_only_the_rejected_one_is_asked_and_it_sees_the_picture_of_the_first(tmp_path):
    rows = [{"id": str(row), "image": "a.png"} for row in range(12)]
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "data/a.png").write_bytes(png((64, 64), "red"))

    def fields(out, attempts):
        fields = small_spec(tmp_path, MODEL_PATH) | {"prompt": {"user": "What is it?", "image": "image"}}
        del fields["label"]
        second = {**LABEL, "name": "second", "pattern": "ze", "column": "label", "attempts": attempts}
        return {**fields, "labels": [{"name": "first"}, second], "output": {"path": str(tmp_path / out)}}

    at_once = Here(fields("at_once", 3)).run()
    here = Here(fields("out", 1)).run()
    before = here.rows
    assert before != at_once.rows
    here.retry()
    report = here.retry()
    assert here.rows == at_once.rows
    assert {row["first_attempts"] for row in here.rows} == {1}
    assert {row["second_attempts"] for row in here.rows} == {1, 2, 3}
    reasons = [row["reason"] for row in rejected(here.rows)]
    assert set(reasons) == {"parse: the pattern matches nothing (label second)"}
    assert report.figures["rejected"] == len(reasons)


def test_reasons_are_those_of_each_label(text_model, jsonl_source, tmp_path):
    """The row has the reason of its first reject: one label was too long for the model, the other is no choice."""
    fields = fields_of(tmp_path, text_model)
    labels = [{"name": "long", "user": "{{ alt * 90 }}", "gate": {"max_rejected": None}}, {"name": "second", **LABEL}]
    here = Here({**{key: fields[key] for key in fields if key != "label"}, "labels": labels}).run()
    before = here.rows
    assert {row["reason"].partition(":")[0] for row in before if row["status"] == "rejected"} == {"prompt_too_long"}
    assert rejected(
        [
            {**row, "status": row["second_status"], "reason": row["second_reason"]}
            for row in before
            if row["second_reason"]
        ],
        "parse",
    )
    here.retry("prompt_too_long")
    assert here.rows == before
    here.retry("parse")
    asked = [row for row, old in zip(here.rows, before, strict=True) if row["second_attempts"] > old["second_attempts"]]
    assert len(asked) == sum(row["second_status"] == "rejected" for row in before) > 0
    assert {row["long_attempts"] for row in here.rows} == {None}


def test_rows_that_are_not_asked_are_not_encoded(done):
    here = Here(done)
    numbers = [row["source_row"] for row in rejected(here.rows, "parse") if row["source_file"] == "b.jsonl"]
    job, plan, _ = prepare(here.spec, Store("out"))
    job = replace(job, retry=Retry(reasons=frozenset({"parse"})))
    for unit in list(plan.units)[4:8]:
        block = read_unit(unit, job)
        encoded = [at is not None for at in block[PROMPT_IDS].to_pylist()]
        assert encoded == [unit.first_row + at in numbers for at in range(10)]


def test_new_source_files_are_left_to_the_next_run(done, tmp_path):
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    (tmp_path / "data/aa.jsonl").write_text('{"id": "new", "alt": "a square"}\n')
    assert retry("out", ["image"]).complete
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names


def test_the_command_ends_in_a_line_of_figures_and_an_exit_code(done, caplog):
    result = CliRunner().invoke(app, ["retry", "out", "--reason", "imag"])
    assert result.exit_code == 0, result.stderr
    figures = json.loads(result.stdout.splitlines()[-1])
    assert (figures["parts"], figures["rows"], figures["complete"]) == (0, 0, True)
    assert "no row was rejected for 'imag'" in caplog.text
    gated = ["retry", "out", "--reason", "image", "--set", "label.gate.max_rejected=0.01"]
    assert CliRunner().invoke(app, gated).exit_code == 1
    assert CliRunner().invoke(app, ["retry", "out", "--set", "sampling.seed=1"]).exit_code == 2
