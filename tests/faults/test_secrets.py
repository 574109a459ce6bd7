"""What a run leaves behind holds no text of its rows and no secret of its machine: whole commands, searched.

Only the kept columns and the labels of the parts may hold what a row says: there it was asked for.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from safetensors.torch import load_file, save_file

from relabel.demo import MODEL_PATH
from tests.pictures import png
from tests.tiny import save_model

ROW, SECRET = "zqxrowcanary", "zqxsecretcanary"
SECRETS = {
    "HF_TOKEN": f"hf_{SECRET}",
    "AWS_ACCESS_KEY_ID": "nobody",
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "SOURCE_URL": f"https://bucket.example/rows.jsonl?X-Amz-Signature={SECRET}",
}

pytestmark = pytest.mark.fault


ONE_RAY = """
import json, sys

import ray

from relabel.cli import main

ray.init(address="local", num_cpus=2, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
for arguments in json.loads(sys.argv[1]):
    try:
        main(["--debug", *arguments])
    except SystemExit as end:
        print("ended with", end.code)
    except Exception:
        sys.excepthook(*sys.exc_info())
        print("ended with an error")
"""


@contextmanager
def folder_of_ray():
    """Where Ray keeps its logs. Not under `tmp_path`: the path of a socket has room for some 100 bytes."""
    folder = Path(tempfile.mkdtemp(prefix="logs"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def python(ray_folder, *arguments):
    """A process with secrets in its environment."""
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    environment |= {**SECRETS, "RAY_TMPDIR": str(ray_folder)}
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280, check=False)


def write_spec(folder, folder_of_model, **sections):
    fields = {
        "source": {"path": str(folder / "data"), "format": "jsonl"},
        "prompt": {"user": "Rewrite: {{ alt }}"},
        "model": {"path": str(folder_of_model), "dtype": "float32", "max_prompt_tokens": 128},
        "sampling": {"max_new_tokens": 8},
        "output": {"path": str(folder / "out"), "keep": ["id"]},
        "resources": {"gpus_per_actor": 0},
        **sections,
    }
    (folder / "spec.yaml").write_text(yaml.safe_dump(fields))
    return folder / "spec.yaml"


def write_rows(folder, rows, name="rows.jsonl"):
    (folder / "data").mkdir(exist_ok=True)
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (folder / "data" / name).write_text("".join(f"{line}\n" for line in lines))


def leaks(folder):
    """The files below a folder that hold a canary, parts aside."""
    files = [
        path for path in folder.rglob("*") if path.is_file() and not path.is_symlink() and path.suffix != ".parquet"
    ]
    assert files
    return [path for path in files if any(canary.encode() in path.read_bytes() for canary in (ROW, SECRET))]


def assert_silent(process):
    assert ROW not in process.stdout + process.stderr
    assert SECRET not in process.stdout + process.stderr


def rows_of_parts(out, asked_for):
    """The rows of all parts, after a look at every column that nobody asked for, and at the stamps."""
    rows = []
    for part in out.rglob("*.parquet"):
        table = pq.read_table(part)
        assert all(ROW.encode() not in value for value in (pq.read_schema(part).metadata or {}).values())
        assert SECRET.encode() not in part.read_bytes()
        rows += table.to_pylist()
        others = table.drop_columns([name for name in asked_for if name in table.column_names])
        assert ROW not in json.dumps(others.to_pylist(), default=str)
    return rows


BAD_TEXT_ROWS = [
    {"id": f"{ROW} good", "alt": f"a circle {ROW}", "meta": {"a": 1}},
    f"{{not json {ROW}",
    f'["{ROW}"]',
    {"id": f"{ROW} null", "alt": None, "meta": {}, "note": ROW},
    {"id": "long", "alt": f"{ROW} " * 200, "meta": {}},
    {"id": "number", "alt": {ROW: ROW}, "meta": {ROW: ROW}},
    f'{{"id": "half", "alt": "{ROW} \\ud800", "meta": {{}}}}',
]


def spec_of_bad_rows(folder, model):
    folder.mkdir()
    write_rows(folder, BAD_TEXT_ROWS)
    (folder / "data/broken.jsonl.gz").write_text(f'{{"alt": "{ROW}"}}\n')
    labels = [
        {"name": "year", "user": "{{ alt }}", "parse": "regex", "pattern": "(?P<y>\\d{40})", "constrain": False},
        {"name": "thing", "user": "{{ alt }}", "parse": "json", "json_schema": {"type": "object"}, "constrain": False},
        {"name": "hard", "user": "{{ meta[alt] }} {{ alt + 1 }}"},
    ]
    labels[0]["gate"] = labels[1]["gate"] = {"max_rejected": 0.01}
    return write_spec(folder, model, prompt={}, labels=labels)


def spec_of_bad_images(folder):
    whole = png((32, 32), "red")
    images = [whole, whole[:40] + ROW.encode(), ROW.encode(), f"{ROW}.png".encode()]
    paths = [f"{ROW}.png", f"../{ROW}.png", f"https://host/{ROW}.png?sig={SECRET}", f"/{ROW}/x.png", f"data:{ROW}"]
    columns = {
        "id": [ROW] * 9,
        "alt": [f"a circle {ROW}"] * 9,
        "image": pa.array([{"bytes": data, "path": ROW} for data in images] + [{"path": path} for path in paths]),
    }
    (folder / "data").mkdir(parents=True)
    pq.write_table(pa.table(columns), folder / "data/images.parquet")
    return write_spec(
        folder,
        MODEL_PATH,
        source={"path": str(folder / "data"), "format": "parquet"},
        prompt={"user": "Describe: {{ alt }}", "image": "image"},
        label={"column": "caption", "compare_to": "alt", "gate": {"max_changed": 1.0, "max_rejected": None}},
        model={"path": str(MODEL_PATH), "max_prompt_tokens": 512},
    )


def spec_of_a_broken_source(folder, model):
    (folder / "data").mkdir(parents=True)
    for name in ("a.jsonl.gz", "b.jsonl.zst"):
        (folder / "data" / name).write_text(f'{{"alt": "{ROW}"}}\n')
    return write_spec(folder, model)


def spec_of_damaged_weights(folder):
    folder.mkdir()
    model = save_model(folder / "model")
    weights = load_file(model / "model.safetensors")
    weights["model.layers.1.mlp.up_proj.weight"][:] = float("nan")
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})
    write_rows(folder, BAD_TEXT_ROWS)
    return write_spec(folder, model)


def spec_with_a_key(folder):
    folder.mkdir()
    (folder / "spec.yaml").write_text(yaml.safe_dump({"api_key": SECRET}))
    return folder / "spec.yaml"


@pytest.fixture(scope="module")
def ended(model, tmp_path_factory):
    """All commands, one after the other on one Ray: their process, where they wrote, and where Ray did."""
    folder = tmp_path_factory.mktemp("runs")
    rows, images = spec_of_bad_rows(folder / "rows", model), spec_of_bad_images(folder / "images")
    broken, key = spec_of_a_broken_source(folder / "broken", model), spec_with_a_key(folder / "key")
    commands = [["run", rows], ["verify", folder / "rows/out"], ["status", folder / "rows/out"], ["run", images]]
    commands += [["run", spec_of_damaged_weights(folder / "damaged")]]
    commands += [["preview", broken], ["plan", broken], ["plan", key]]
    with folder_of_ray() as ray_folder:
        process = python(ray_folder, "-c", ONE_RAY, json.dumps([[str(word) for word in words] for words in commands]))
        yield process, folder, ray_folder


def test_each_command_ends_as_it_should_and_none_of_them_says_a_word_of_a_row_or_a_secret(ended):
    """With --debug: tracebacks are shown."""
    process, _, ray_folder = ended
    ends = [line.removeprefix("ended with ") for line in process.stdout.splitlines() if line.startswith("ended with ")]
    assert ends == ["1", "1", "1", "0", *["an error"] * 4], process.stderr
    assert "its weights are damaged" in process.stderr
    assert "broken.jsonl.gz" in process.stderr
    assert "unknown key api_key" in process.stderr
    assert "Traceback" in process.stderr
    assert_silent(process)
    assert list(ray_folder.rglob("worker-*.err")), "Ray keeps its logs elsewhere"
    assert leaks(ray_folder) == []


def test_bad_rows_and_labels_that_do_not_parse_leave_no_text_behind(ended):
    out = ended[1] / "rows/out"
    rows = rows_of_parts(out, ["id", "hard", *(f"{name}_text" for name in ("year", "thing", "hard"))])
    assert len(rows) == len(BAD_TEXT_ROWS)
    reasons = " ".join(row["year_reason"] + row["hard_reason"] for row in rows)
    assert all(code in reasons for code in ("source:", "parse:", "prompt:", "prompt_too_long:"))
    assert leaks(out) == []


def test_images_that_cannot_be_used_leave_no_path_and_no_bytes_behind_a_complete_run(ended):
    out = ended[1] / "images/out"
    assert (out / "_SUCCESS").exists()
    rows = rows_of_parts(out, ["id", "caption", "text"])
    assert [row["status"] for row in rows] == ["ok"] + ["rejected"] * 8
    assert leaks(out) == []


def test_an_engine_that_cannot_start_leaves_no_text_behind(ended):
    assert leaks(ended[1] / "damaged/out") == []
