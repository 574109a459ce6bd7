import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from relabel import make_spec, run
from relabel.data.output.manifest import RUN
from relabel.data.store.store import Store
from relabel.demo import CAPTION_PROMPT, MODEL_PATH
from relabel.errors import SourceRefused, SpecError
from relabel.job.plan import plan
from relabel.job.prepare import prepare, resolve
from relabel.job.preview import preview
from relabel.job.stages.block import MAX_BLOCK_BYTES
from tests.tiny import save_model


def spec_of(model, **prompt):
    fields = {"source": {"path": "/data", "format": "parquet"}, "output": {"path": "out"}, "prompt": prompt}
    return make_spec({**fields, "model": {"path": str(model), "max_prompt_tokens": 100_000}})


def unit_rows_of(spec):
    return resolve(spec, {}).unit_rows(None)


def test_a_unit_of_text_has_1024_rows_and_one_of_small_images_128():
    assert unit_rows_of(spec_of(MODEL_PATH, user="{{ alt }}")) == 1024
    assert unit_rows_of(spec_of(MODEL_PATH, user=CAPTION_PROMPT, image="image")) == 128


def test_a_unit_of_large_images_has_fewer_rows_so_that_its_block_stays_in_bounds(tmp_path):
    folder = shutil.copytree(MODEL_PATH, tmp_path / "model")
    config = json.loads((folder / "processor_config.json").read_text())
    config["image_processor"] |= {"crop_size": {"height": 1024, "width": 1024}, "size": {"shortest_edge": 1024}}
    (folder / "processor_config.json").write_text(json.dumps(config))
    unit_rows = unit_rows_of(spec_of(folder, user=CAPTION_PROMPT, image="image"))
    assert unit_rows == MAX_BLOCK_BYTES // (1024 * 1024 * 3 + 24) == 42
    assert unit_rows_of(spec_of(folder, user=CAPTION_PROMPT, image=["a", "b"])) == 21


def test_the_spec_has_the_last_word():
    spec = spec_of(MODEL_PATH, user=CAPTION_PROMPT, image="image")
    assert unit_rows_of(spec.model_copy(update={"source": spec.source.model_copy(update={"unit_rows": 7})})) == 7


def test_a_source_without_one_readable_file_is_refused_and_says_why(fields, jsonl_source):
    for path in jsonl_source.iterdir():
        path.rename(path.with_suffix(".parquet"))
    fields["source"] = {"path": str(jsonl_source), "format": "parquet"}
    with pytest.raises(SourceRefused, match="no file of the source can be read; the first:"):
        plan(make_spec(fields))


@pytest.mark.parametrize("format", ["csv", "parquet"])
def test_a_source_of_columns_without_rows_is_refused_and_never_a_success(fields, tmp_path, format):
    (tmp_path / "empty").mkdir()
    if format == "csv":
        (tmp_path / "empty/a.csv").write_text("id,alt\n", encoding="utf-8")
    else:
        pq.write_table(
            pa.table({"id": pa.array([], pa.string()), "alt": pa.array([], pa.string())}), tmp_path / "empty/a.parquet"
        )
    fields["source"] = {"path": str(tmp_path / "empty"), "format": format}
    for command in (plan, run):
        with pytest.raises(SourceRefused, match="the source has no rows"):
            command(make_spec(fields))


def test_an_output_inside_its_own_source_is_refused(fields, jsonl_source):
    fields["source"] = {"path": str(jsonl_source), "format": "parquet"}
    fields["output"] = {"path": str(jsonl_source / "labels")}
    with pytest.raises(SpecError, match="lies inside"):
        prepare(make_spec(fields), Store(str(jsonl_source / "labels")))


def test_a_table_inside_its_output_is_refused_before_anything_is_written(fields, tmp_path):
    out = tmp_path / "apart"
    fields["output"] = {"path": str(out), "table": {"format": "delta", "path": str(out / "table")}}
    with pytest.raises(SpecError, match="lie one in the other"):
        prepare(make_spec(fields), Store(str(out)))
    assert not list(out.iterdir())


def test_what_is_relative_here_is_absolute_for_the_workers(fields, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fields["output"]["path"] = "out"
    job, *_ = prepare(make_spec(fields), Store("out"))
    assert job.output == str(tmp_path / "out")
    assert job.spec.source.paths[0].startswith("/")


DATED = "{{ strftime_now('%d %b %Y') }}: {% for m in messages %}{{ m.content }}{% endfor %}"


def test_the_day_that_a_chat_template_writes_is_that_of_the_first_run(fields, tmp_path, caplog):
    fields["model"]["path"] = str(save_model(tmp_path / "dated", chat_template=DATED))
    on_a_day = {**fields, "prompt": {**fields["prompt"], "date": "2024-07-26"}}
    store = Store(fields["output"]["path"])
    prepare(make_spec(on_a_day), store)
    job, *_ = prepare(make_spec(fields), store)
    assert str(job.spec.prompt.date) == "2024-07-26"
    assert "this output takes 2024-07-26 for today; prompt.date sets it" in caplog.text
    assert preview(make_spec(fields), 1)["prompt"][0].startswith("26 Jul 2024: ")
    assert plan(make_spec(fields))["rows"]


def test_a_new_output_notes_today_and_one_that_noted_no_day_goes_on_without(fields, tmp_path):
    fields["model"]["path"] = str(save_model(tmp_path / "dated", chat_template=DATED))
    store = Store(fields["output"]["path"])
    job, *_ = prepare(make_spec(fields), store)
    assert job.spec.prompt.date is not None
    document = json.loads((Path(fields["output"]["path"]) / RUN).read_text())
    del document["recipe"]["prompt"]["date"]
    (Path(fields["output"]["path"]) / RUN).write_text(json.dumps(document))
    job, *_ = prepare(make_spec(fields), store)
    assert job.spec.prompt.date is None
