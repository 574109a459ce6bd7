"""What a run leaves behind holds no text of its rows and no secret of its machine: whole commands, searched.

Only the kept columns and the labels of the parts may hold what a row says: there it was asked for.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from safetensors.torch import load_file, save_file

from relabel.demo import MODEL_PATH
from tests.pictures import png
from tests.tiny import save_model

ROOT = Path(__file__).parents[2]
ROW, SECRET = "zqxrowcanary", "zqxsecretcanary"
SECRETS = {
    "HF_TOKEN": f"hf_{SECRET}",
    "AWS_ACCESS_KEY_ID": "nobody",
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "SOURCE_URL": f"https://bucket.example/rows.jsonl?X-Amz-Signature={SECRET}",
}

pytestmark = pytest.mark.fault


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def ray_folder():
    """Where Ray keeps its logs. Not under `tmp_path`: the path of a socket has room for some 100 bytes."""
    folder = Path(tempfile.mkdtemp(prefix="logs"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def command(arguments, ray_folder):
    """A relabel command with secrets in its environment."""
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    environment |= {**SECRETS, "RAY_TMPDIR": str(ray_folder)}
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def job(spec, ray_folder):
    return command([ROOT / "jobs/relabel.py", spec], ray_folder)


def relabel(arguments, ray_folder):
    return command(["-c", "from relabel.cli import main; main()", *arguments], ray_folder)


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


def assert_silent(*ended):
    for process in ended:
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


def test_bad_rows_and_labels_that_do_not_parse_leave_no_text_behind(tmp_path, model, ray_folder):
    write_rows(tmp_path, BAD_TEXT_ROWS)
    (tmp_path / "data/broken.jsonl.gz").write_text(f'{{"alt": "{ROW}"}}\n')
    labels = [
        {"name": "year", "user": "{{ alt }}", "parse": "regex", "pattern": "(?P<y>\\d{40})", "constrain": False},
        {"name": "thing", "user": "{{ alt }}", "parse": "json", "json_schema": {"type": "object"}, "constrain": False},
        {"name": "hard", "user": "{{ meta[alt] }} {{ alt + 1 }}"},
    ]
    labels[0]["gate"] = labels[1]["gate"] = {"max_rejected": 0.01}
    spec = write_spec(tmp_path, model, prompt={}, labels=labels)
    ended = job(spec, ray_folder)
    assert ended.returncode == 1, ended.stderr
    assert "broken.jsonl.gz" in ended.stderr
    rows = rows_of_parts(tmp_path / "out", ["id", "hard", *(f"{name}_text" for name in ("year", "thing", "hard"))])
    assert len(rows) == len(BAD_TEXT_ROWS)
    reasons = " ".join(row["year_reason"] + row["hard_reason"] for row in rows)
    assert list(ray_folder.rglob("worker-*.err")), "Ray keeps its logs elsewhere"
    assert all(code in reasons for code in ("source:", "parse:", "prompt:", "prompt_too_long:"))
    out = tmp_path / "out"
    later = [relabel(["--debug", "verify", out], ray_folder), relabel(["--debug", "status", out], ray_folder)]
    assert [process.returncode for process in later] == [1, 1]
    assert_silent(ended, *later)
    assert leaks(out) == []
    assert leaks(ray_folder) == []


def test_images_that_cannot_be_used_leave_no_path_and_no_bytes_behind_a_complete_run(tmp_path, ray_folder):
    whole = png((32, 32), "red")
    images = [
        whole,
        whole[:40] + ROW.encode(),
        ROW.encode(),
        f"{ROW}.png".encode(),
    ]
    paths = [f"{ROW}.png", f"../{ROW}.png", f"https://host/{ROW}.png?sig={SECRET}", f"/{ROW}/x.png", f"data:{ROW}"]
    (tmp_path / "data").mkdir()
    columns = pa.table(
        {
            "id": [ROW] * 9,
            "alt": [f"a circle {ROW}"] * 9,
            "image": pa.array([{"bytes": data, "path": ROW} for data in images] + [{"path": path} for path in paths]),
        }
    )
    pq.write_table(columns, tmp_path / "data/images.parquet")
    spec = write_spec(
        tmp_path,
        MODEL_PATH,
        source={"path": str(tmp_path / "data"), "format": "parquet"},
        prompt={"user": "Describe: {{ alt }}", "image": "image"},
        label={"column": "caption", "compare_to": "alt", "gate": {"max_changed": 1.0}},
        model={"path": str(MODEL_PATH), "max_prompt_tokens": 512},
    )
    ended = relabel(["--debug", "run", spec], ray_folder)
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "out/_SUCCESS").exists()
    rows = rows_of_parts(tmp_path / "out", ["id", "caption", "text"])
    assert [row["status"] for row in rows] == ["ok"] + ["rejected"] * 8
    assert_silent(ended)
    assert leaks(tmp_path / "out") == []
    assert leaks(ray_folder) == []


def test_an_engine_that_cannot_start_ends_the_run_without_a_word_of_its_rows(tmp_path, ray_folder):
    folder = save_model(tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    weights["model.layers.1.mlp.up_proj.weight"][:] = float("nan")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    write_rows(tmp_path, BAD_TEXT_ROWS)
    ended = relabel(["--debug", "run", write_spec(tmp_path, folder)], ray_folder)
    assert ended.returncode != 0
    assert "its weights are damaged" in ended.stderr
    assert_silent(ended)
    assert leaks(tmp_path / "out") == []
    assert leaks(ray_folder) == []


def test_a_source_without_one_readable_file_is_refused_without_its_text(tmp_path, model, ray_folder):
    (tmp_path / "data").mkdir()
    for name in ("a.jsonl.gz", "b.jsonl.zst"):
        (tmp_path / "data" / name).write_text(f'{{"alt": "{ROW}"}}\n')
    spec = write_spec(tmp_path, model)
    ended = [relabel(["--debug", name, spec], ray_folder) for name in ("preview", "plan")]
    assert all(process.returncode for process in ended)
    assert_silent(*ended)


def test_with_debug_the_command_shows_a_traceback_without_the_secret(tmp_path, ray_folder):
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump({"api_key": SECRET}))
    ended = relabel(["--debug", "plan", tmp_path / "spec.yaml"], ray_folder)
    assert ended.returncode == 1
    assert "unknown key api_key" in ended.stderr
    assert_silent(ended)
