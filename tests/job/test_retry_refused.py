"""Retries that are refused before any work: each says what to do instead."""

import shutil

import pytest

from relabel.errors import RecipeChanged, Refused, SourceChanged, SpecError
from relabel.job.local import InProcess
from relabel.job.retry import retry
from tests.job.retrying import CPU, Here, fields_of


def test_a_run_that_is_not_at_its_end_is_refused(done, tmp_path):
    with pytest.raises(Refused, match="no run was begun"):
        retry(str(tmp_path))
    (tmp_path / "out/c-00003.parquet").write_bytes(b"")
    with pytest.raises(Refused, match=r"1 of 12 parts .* c-00003\.parquet: run it to the end first"):
        retry("out")


@pytest.mark.parametrize(
    "override", ["sampling.temperature=1", "label.pattern=x", "output.path=there", "prompt.user=a"]
)
def test_another_recipe_is_refused_in_a_sentence(done, override):
    with pytest.raises(SpecError, match=r"a retry goes by the recipe of the run.*label\.attempts"):
        retry("out", overrides=[override])


@pytest.mark.parametrize("override", ["label.attempts", "resources=1", "label.attempts.x=1", "resources.actorz=1"])
def test_a_wrong_override_is_refused(done, override):
    with pytest.raises(SpecError, match="--set"):
        retry("out", overrides=[override])


@pytest.mark.parametrize("override", ["sk-secret", "label.gate={sk-secret: [", "label.gate={sk-secret: 2026-02-30}"])
def test_an_override_that_is_refused_is_not_repeated(done, override):
    with pytest.raises(SpecError) as refused:
        retry("out", overrides=[override])
    assert "sk-secret" not in f"{refused.value}{refused.value.__cause__}"


def test_another_source_or_model_is_refused(text_model, jsonl_source, tmp_path):
    shutil.copytree(text_model, tmp_path / "model")
    fields = fields_of(tmp_path, tmp_path / "model")
    fields["source"] |= {"path": str(jsonl_source / "a.jsonl"), "unit_rows": 40}
    Here(fields).run()
    config = tmp_path / "model/config.json"
    before = config.read_text()
    config.write_text(before.replace('"max_position_embeddings": 512', '"max_position_embeddings": 511'))
    with pytest.raises(RecipeChanged, match="model_identity"):
        retry(str(tmp_path / "out"))
    config.write_text(before)
    (jsonl_source / "a.jsonl").write_text('{"id": "only", "alt": "a square"}\n')
    with pytest.raises(SourceChanged, match=r"a\.jsonl"):
        retry(str(tmp_path / "out"))


def test_a_model_that_was_moved_is_found_where_it_is_said_to_be_and_is_the_same_one(text_model, jsonl_source, tmp_path):
    old, new = tmp_path / "model", tmp_path / "elsewhere"
    shutil.copytree(text_model, old)
    fields = fields_of(tmp_path, old)
    fields["source"]["path"] = str(jsonl_source / "a.jsonl")
    Here(fields).run()
    old.rename(new)
    moved = [*CPU, f"model.path={new}", "label.retry_temperatures=[2.0]"]
    assert retry(str(tmp_path / "out"), overrides=moved, execute=InProcess()).figures["ok"] > 0
    config = new / "config.json"
    config.write_text(config.read_text().replace('"max_position_embeddings": 512', '"max_position_embeddings": 511'))
    with pytest.raises(RecipeChanged, match="model_identity"):
        retry(str(tmp_path / "out"), overrides=moved)


def test_greedy_texts_that_would_be_the_same_again_are_refused_with_the_remedy(text_model, jsonl_source, tmp_path):
    fields = fields_of(tmp_path, text_model, pattern="no such text")
    fields["sampling"]["temperature"] = 0.0
    fields["source"]["path"] = str(jsonl_source / "a.jsonl")
    here = Here(fields).run()
    with pytest.raises(Refused, match=r"--set label\.retry_temperatures=\[0\.7\]"):
        retry(str(tmp_path / "out"))
    assert retry(str(tmp_path / "out"), ["image"]).audit.complete, "no text is asked for"
    before = here.rows
    here.retry(retry_temperatures=[2.0])
    changed = [one["text"] != other["text"] for one, other in zip(before, here.rows, strict=True)]
    assert sum(changed) > 30
