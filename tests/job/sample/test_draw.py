"""A sample is read and encoded as the run would read and encode the same rows, in every format."""

import csv
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from relabel import make_spec
from relabel.errors import SourceRefused
from relabel.job.prepare import resolve
from relabel.job.sample.draw import draw_sample
from relabel.job.stages import block as blocks
from relabel.job.stages.read import encode_unit
from tests.tiny import save_model

ROWS = [{"id": f"r{row}", "alt": f"circle number {row} " * (1 + row % 5)} for row in range(90)]


def write_jsonl(folder, name, rows):
    (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_parquet(folder, name, rows):
    pq.write_table(pa.Table.from_pylist(rows), folder / f"{name}.parquet", row_group_size=7)


def write_csv(folder, name, rows):
    with (folder / f"{name}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["id", "alt"])
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("model"))


def drawn(folder, model, form, num_rows, seed=0):
    fields = {
        "source": {"path": str(folder), "format": form, "unit_rows": 10},
        "prompt": {"user": "{{ alt }}"},
        "model": {"path": str(model)},
        "output": {"path": str(folder.parent / "out"), "keep": ["id"]},
    }
    resolved = resolve(make_spec(fields), {})
    plan = resolved.plan(None)
    job = resolved.job(plan.columns)
    return plan, resolved.encoder, job, draw_sample(plan, resolved.encoder, job, num_rows, seed)


@pytest.mark.parametrize(
    ("form", "write"),
    [("jsonl", write_jsonl), ("parquet", write_parquet), ("csv", write_csv)],
    ids=["jsonl", "parquet", "csv"],
)
def test_rows_have_the_prompts_that_a_run_gives_them(tmp_path, model, form, write):
    (tmp_path / "data").mkdir()
    for name, first in (("a", 0), ("b", 30), ("c", 60)):
        write(tmp_path / "data", name, ROWS[first : first + 30])
    plan, encoder, job, sample = drawn(tmp_path / "data", model, form, 40)
    whole = {}
    for unit in plan.units:
        block = encode_unit(unit, encoder, job)
        whole |= dict(zip(block["id"].to_pylist(), block[blocks.PROMPT_IDS].to_pylist(), strict=True))
    ids = sample.block["id"].to_pylist()
    assert len(set(ids)) == 40
    assert [whole[row] for row in ids] == sample.block[blocks.PROMPT_IDS].to_pylist()
    assert (sample.looked_at, len(sample.lengths)) == (90, 90), "more prompts are looked at than are taken"
    assert list(sample.prompts) == [len(whole[row]) for row in ids]
    assert len(sample.units) == blocks.unit_of(sample.block).num_rows == 40
    assert len(set(sample.units)) > 3, "the sample is of all files"
    *_, few = drawn(tmp_path / "data", model, form, 2)
    assert (few.block.num_rows, few.looked_at) == (2, 32)
    assert few.rows_read < 90


def test_a_unit_that_cannot_be_read_is_left_out_and_named(tmp_path, model):
    (tmp_path / "data").mkdir()
    write_jsonl(tmp_path / "data", "a", ROWS[:20])
    write_parquet(tmp_path / "data", "a", ROWS[:20])
    write_parquet(tmp_path / "data", "b", ROWS[20:40])
    plan, encoder, job, _ = drawn(tmp_path / "data", model, "parquet", 40)
    (tmp_path / "data/b.parquet").unlink()
    sample = draw_sample(plan, encoder, job, 40, seed=0)
    assert sample.block.num_rows == 20
    assert sample.unread
    assert "b.parquet" in sample.unread[0]
    (tmp_path / "data/a.parquet").unlink()
    with pytest.raises(SourceRefused, match="no row of the sample can be read"):
        draw_sample(plan, encoder, job, 40, seed=0)
