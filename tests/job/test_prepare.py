import json
import shutil

import pytest

from relabel import make_spec
from relabel.data.store.store import Store
from relabel.demo import CAPTION_PROMPT, MODEL_PATH
from relabel.errors import SourceRefused, SpecError
from relabel.job.plan import plan
from relabel.job.prepare import prepare, resolve
from relabel.job.stages.block import MAX_BLOCK_BYTES


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


def test_an_output_inside_its_own_source_is_refused(fields, jsonl_source):
    fields["source"] = {"path": str(jsonl_source), "format": "parquet"}
    fields["output"] = {"path": str(jsonl_source / "labels")}
    with pytest.raises(SpecError, match="lies inside"):
        prepare(make_spec(fields), Store(str(jsonl_source / "labels")))


def test_what_is_relative_here_is_absolute_for_the_workers(fields, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fields["output"]["path"] = "out"
    job, *_ = prepare(make_spec(fields), Store("out"))
    assert job.output == str(tmp_path / "out")
    assert job.spec.source.paths[0].startswith("/")
