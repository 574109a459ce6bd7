"""Labels of every kind through whole runs: typed columns, and the same texts whatever is lost, reordered or resumed."""

import json
from functools import partial

import pyarrow.parquet as pq
import pytest
from jsonschema import Draft202012Validator

import relabel
from relabel import make_spec, preview
from relabel.data.output.verify import verify
from relabel.data.store.store import Store
from relabel.errors import SpecError
from relabel.job.local import InProcess
from relabel.job.retry import retry as retry_rows
from relabel.spec import Resources
from tests.reading import assert_every_row_once, rows_of

run, retry = partial(relabel.run, execute=InProcess()), partial(retry_rows, execute=InProcess())
ALL = {"a.jsonl": 40, "b.jsonl": 40, "c.jsonl": 40}
SCENE = {
    "type": "object",
    "properties": {
        "size": {"enum": ["small", "large"]},
        "count": {"type": "integer", "minimum": 0, "maximum": 99},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 3}, "maxItems": 2},
    },
    "required": ["size", "count", "tags"],
    "additionalProperties": False,
}
LABELS = [
    {"name": "caption", "attempts": 2, "parse": "regex", "pattern": "(?P<first>a).*", "constrain": False},
    {"name": "kind", "user": "Which? {{ alt }}", "parse": "choice", "choices": ["red", "green"], "vote": True},
    {"name": "scene", "user": "{{ alt }} as JSON", "parse": "json", "json_schema": SCENE, "max_new_tokens": 60},
]


@pytest.fixture
def several(fields):
    fields = {**fields, "labels": LABELS, "sampling": {**fields["sampling"], "num_samples": 2}}
    del fields["label"]
    return make_spec(fields)


def test_several_labels_with_samples_and_attempts_are_the_same_after_a_loss_and_with_other_resources(several, tmp_path):
    report = run(several)
    assert report.complete
    before = assert_every_row_once(tmp_path / "out", ALL)
    assert {row["caption_status"] for row in before} == {"ok", "rejected"}
    assert {row["kind"] for row in before} == {"red", "green"}
    assert {row["caption_attempts"] for row in before} >= {3, 4}
    assert {row["status"] for row in before if row["caption_status"] == "rejected"} == {"rejected"}
    assert verify(Store(str(tmp_path / "out"))).problems == ()
    for part in ("a-00001", "b-00003", "c-00000"):
        (tmp_path / f"out/{part}.parquet").unlink()
    for batching in ({"batching": "static", "batch_tokens": 700}, {"kv_memory": "200KiB"}):
        assert run(several.model_copy(update={"resources": Resources(gpus_per_actor=0, **batching)})).complete
        assert rows_of(tmp_path / "out") == before


def test_json_labels_are_typed_columns_and_every_finished_row_fits_the_schema(fields, tmp_path):
    label = {"parse": "json", "json_schema": SCENE}
    report = run(make_spec({**fields, "label": label, "sampling": {**fields["sampling"], "max_new_tokens": 60}}))
    rows = assert_every_row_once(tmp_path / "out", ALL)
    finished = [row for row in rows if row["finish_reason"] == "stop"]
    assert len(finished) > 50
    assert {row["status"] for row in finished} == {"ok"}
    assert all(Draft202012Validator(SCENE).is_valid(json.loads(row["text"])) for row in finished)
    assert all({key: row[key] for key in SCENE["properties"]} == json.loads(row["text"]) for row in finished)
    schema = pq.read_schema(next((tmp_path / "out").glob("*.parquet")))
    assert [str(schema.field(key).type) for key in SCENE["properties"]] == ["string", "int64", "list<element: string>"]
    assert report.audit.rejected == len(rows) - len(finished)


def test_a_schema_that_cannot_be_compiled_is_refused_before_anything_is_loaded(fields, tmp_path):
    label = {"parse": "json", "json_schema": {"type": "object", "properties": {"a": {"not": {"type": "string"}}}}}
    with pytest.raises(SpecError, match=r"constrain: false"):
        run(make_spec({**fields, "label": label}))
    assert not (tmp_path / "out/_run.json").exists()


def test_a_preview_shows_the_prompt_of_each_label_and_their_columns_when_asked_to(several):
    table = preview(several, 3)
    assert list(table["kind_prompt"].str.contains("Which?", regex=False)) == [True] * 3
    assert table["scene_prompt_tokens"].min() > 10
    labels = preview(several, 3, generate=True)
    assert set(labels["kind"]) <= {"red", "green"}
    assert len(labels["scene_count"][0]) == 2


def test_a_gate_that_is_passed_withholds_success_until_the_limit_changes(fields, tmp_path):
    def gated(**gate):
        return make_spec({**fields, "label": {"column": "caption", "compare_to": "alt", "gate": gate}})

    report = run(gated(max_changed=0.5, max_rejected=0.1))
    assert report.complete
    assert not report.passed
    (problem,) = report.audit.exceeded
    assert "label.gate.max_changed" in problem
    assert "a.jsonl row 0" in problem
    assert not (tmp_path / "out/_SUCCESS").exists()
    assert report.audit.quality[""].rates()["changed"] == 1.0
    again = run(gated(max_rejected=0.1))
    assert again.passed
    assert again.done_now == {}, "limits are no part of the recipe"
    assert (tmp_path / "out/_SUCCESS").exists()


def test_a_column_to_compare_with_that_the_source_lacks_is_refused(fields):
    with pytest.raises(SpecError, match=r"label\.compare_to names column 'altt'"):
        run(make_spec({**fields, "label": {"compare_to": "altt"}}))


def test_a_retry_is_judged_by_the_limits_of_the_run(fields, tmp_path):
    few = {"parse": "regex", "pattern": "[aeiou].*[aeiou].*[aeiou]", "constrain": False, "gate": {"max_rejected": 0.5}}
    assert not run(make_spec({**fields, "label": few})).passed
    report = retry(str(tmp_path / "out"), ["image"])
    assert "label.gate.max_rejected" in report.audit.exceeded[0]
    assert not (tmp_path / "out/_SUCCESS").exists()
    assert retry(str(tmp_path / "out"), ["image"], ["label.gate.max_rejected=1.0"]).complete
