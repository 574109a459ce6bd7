"""What `relabel report` finds: figures of all, a few rows of some, and what their source still has of them."""

import pytest

from relabel.data.runs.heard import say
from relabel.data.store.store import Store
from relabel.errors import Refused, SpecError
from relabel.report.report import report
from tests.data.runs.beats import beat
from tests.pictures import png
from tests.report.outputs import FIELDS, label, reject, write_output

SOURCE = [{"id": row, "alt": f"a circle, number {row}"} for row in range(8)]
LABELS = [label(f"A circle, number {row}.") for row in range(8)]
REJECTED = [*LABELS[:5], reject("parse: empty", ""), *LABELS[6:]]
SEES = {**FIELDS, "prompt": {"user": "Describe it.", "image": "image"}}


def pictures_of(found):
    return [[picture.why or picture.src[:15] for picture in row.pictures] for row in found.rows]


def test_a_whole_output_is_complete_and_every_row_has_its_old_label(tmp_path):
    found = report(write_output(tmp_path, SOURCE, LABELS))
    assert (found.state, found.status.report.rows) == ("incomplete", 8), "no run has counted it yet"
    assert [row.answers[0].label for row in found.rows] == [f"A circle, number {row}." for row in range(8)]
    assert [row.answers[0].old for row in found.rows] == [row["alt"] for row in SOURCE]
    assert found.rows[3].given == {"alt": "a circle, number 3"}
    assert found.rows[3].answers[0].texts == (" A circle, number 3.",)


def test_a_run_in_progress_has_the_rows_that_are_there(tmp_path):
    found = report(write_output(tmp_path, SOURCE, LABELS, without={1, 2}))
    assert (found.state, len(found.rows)) == ("incomplete", 4)
    assert found.to_json()["num_missing"] == 2


def test_the_one_reject_is_there_however_few_rows_are_shown(tmp_path):
    found = report(write_output(tmp_path, SOURCE, REJECTED), num_rows=2)
    assert sorted(row.code for row in found.rows) == ["", "parse"]
    (reason,) = found.reasons
    assert (reason.code, reason.rows) == ("parse", 1)
    assert reason.examples == ({"file": "rows.jsonl", "row": 5, "detail": "empty", "text": ""},)
    told = {"file": "rows.jsonl", "row": 5, "detail": "empty"}
    assert found.to_json()["rejects"][0]["examples"] == [told], "figures end in logs, which have no text of a row"


def test_a_label_that_has_a_flaw_is_there_however_few_rows_are_shown(tmp_path):
    labels = [*LABELS[:6], label("I cannot help with that."), label("cut", finish_reason="length")]
    found = report(write_output(tmp_path, SOURCE, labels), num_rows=3)
    assert sorted(flaw for row in found.rows for flaw in row.flaws) == ["refused"], "half of the rows, rounded down"
    assert {flaw for row in report(found.url).rows for flaw in row.flaws} == {"refused", "truncated"}


def test_the_same_seed_draws_the_same_rows_and_another_draws_others(tmp_path):
    url = write_output(tmp_path, SOURCE, LABELS)
    drawn = {seed: [row.number for row in report(url, num_rows=3, seed=seed).rows] for seed in range(4)}
    assert [row.number for row in report(url, num_rows=3, seed=2).rows] == drawn[2]
    assert len({tuple(rows) for rows in drawn.values()}) > 1


def test_pictures_are_read_again_and_those_that_are_gone_say_so(tmp_path):
    (tmp_path / "a.png").write_bytes(png((40, 30), "red"))
    source = [{"image": name, "alt": "x"} for name in ("a.png", "gone.png", None)]
    found = report(write_output(tmp_path, source, LABELS[:3], SEES))
    assert pictures_of(found) == [["data:image/jpeg"], ["image: missing"], ["image: missing"]]


def test_rows_whose_source_is_another_file_now_say_so_and_their_labels_are_there(tmp_path):
    url = write_output(tmp_path, SOURCE, LABELS)
    (tmp_path / "rows.jsonl").unlink()
    found = report(url)
    assert len(found.rows) == 8
    assert all(row.missing.startswith("the source cannot be read again") for row in found.rows)
    assert found.rows[0].answers[0].old is None


def test_an_old_label_that_was_kept_is_there_without_the_source(tmp_path):
    url = write_output(tmp_path, SOURCE, LABELS, {**FIELDS, "output": {"keep": ["id", "alt"]}})
    (tmp_path / "rows.jsonl").unlink()
    found = report(url)
    assert found.rows[1].answers[0].old == "a circle, number 1"
    assert found.rows[1].kept == {"id": "1", "alt": "a circle, number 1"}


def test_another_old_column_can_be_named_and_one_that_is_not_there_is_refused(tmp_path):
    url = write_output(tmp_path, SOURCE, LABELS)
    assert report(url, old="id").rows[4].answers[0].old == "4"
    with pytest.raises(SpecError, match="'caption', and the source has no such column: it has alt, id"):
        report(url, old="caption")


def test_each_of_several_labels_has_its_own_figures_and_texts(tmp_path):
    fields = {
        "prompt": {},
        "model": {"path": "m"},
        "labels": [{"name": "kind", "user": "{{ alt }}?"}, {"name": "size", "user": "How large?"}],
    }
    beside = {"finish_reason": "stop", "prompt_tokens": 7, "output_tokens": 3, "attempts": 1}
    kind = {f"kind_{key}": value for key, value in beside.items()} | {"kind": "circle", "kind_text": "circle"}
    size = {"size_status": "rejected", "size_reason": "parse: empty", "size_text": ""}
    row = {**kind, "kind_status": "ok", **size, "status": "rejected", "reason": "parse: empty (label size)"}
    found = report(write_output(tmp_path, SOURCE[:2], [row, row], fields))
    assert [(one.name, one.label, one.reason) for one in found.rows[0].answers] == [
        ("kind", "circle", ""),
        ("size", None, "parse: empty"),
    ]
    assert {one.label for one in found.limits} == {"kind", "size"}
    assert "prompt tokens of kind" in {one.name for one in found.histograms}
    assert found.write(tmp_path / "page.html")["rows"] == 2


def test_each_of_several_samples_has_its_text(tmp_path):
    fields = {**FIELDS, "sampling": {"num_samples": 2, "temperature": 1.0}}
    twice = {"caption": ["one", "two"], "text": ["one ", "two "], "finish_reason": ["stop", "stop"]}
    found = report(write_output(tmp_path, SOURCE[:1], [{**LABELS[0], **twice}], fields))
    assert found.rows[0].answers[0].label == "1. one\n2. two"
    assert found.rows[0].answers[0].texts == ("one ", "two ")


def test_an_output_in_a_bucket_is_reported_like_one_on_a_disk(tmp_path, s3_url):
    found = report(write_output(tmp_path, SOURCE, REJECTED, url=s3_url))
    assert [row.number for row in found.rows] == list(range(8))
    assert found.status.report.rejected == 1


def test_a_part_that_is_damaged_costs_its_own_rows_alone(tmp_path):
    url = write_output(tmp_path, SOURCE, LABELS)
    part = tmp_path / "out/rows-00001.parquet"
    part.write_bytes(part.read_bytes()[:200])
    found = report(url)
    assert (len(found.rows), found.to_json()["num_damaged"]) == (6, 1)


def test_a_folder_in_which_no_run_was_begun_is_refused(tmp_path):
    with pytest.raises(Refused, match="no run was begun there"):
        report(str(tmp_path))


def test_the_times_of_all_runs_are_shown_where_they_counted_some(tmp_path):
    url = write_output(tmp_path, SOURCE, LABELS)
    say(Store(url), beat(state="ended"))
    assert report(url).times == [], "of an earlier version"
    say(Store(url), beat("20261129T220000Z-bbbbbbbb", state="ended", unit_seconds={"3": 4}, row_seconds={"-2": 8}))
    found = report(url)
    assert [(one.number, one.longest) for one in found.times] == [(4, 2.8), (8, 0.5)]
    assert [one["number"] for one in found.to_json()["times"]] == [4, 8]
    found.write(tmp_path / "page.html")
    assert "seconds of a unit at an engine" in (tmp_path / "page.html").read_text()
