"""The bars of the demo, counted by a script of its own: pyarrow over the data and the labels, nothing of relabel.

One task runs on Ray, as the command does by itself; the others in this process.
"""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from jsonschema import Draft202012Validator
from rich.console import Console
from typer.testing import CliRunner

from relabel.cli import app
from relabel.demo import MODEL_PATH
from relabel.demo.run import demo_spec
from relabel.demo.show import show_demo
from relabel.demo.task import Task
from relabel.spec import load_spec
from tests.reading import rows_of

pytestmark = pytest.mark.slow


def figures_of_the_demo(task, folder, *options):
    result = CliRunner().invoke(app, ["demo", "--task", task, "--out", str(folder), *options])
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


@pytest.mark.usefixtures("cluster")
def test_the_demo_labels_1000_pictures_on_ray(tmp_path):
    assert_labelled("caption", figures_of_the_demo("caption", tmp_path), tmp_path, bar=0.97)


def test_the_demo_labels_1000_texts(tmp_path):
    assert_labelled("rewrite", figures_of_the_demo("rewrite", tmp_path, "--no-ray"), tmp_path, bar=0.95)


def assert_labelled(task, figures, tmp_path, *, bar):
    data = [row for path in sorted((tmp_path / "data").glob("*.parquet")) for row in pq.read_table(path).to_pylist()]
    labels = {row["id"]: row for row in rows_of(tmp_path / "labels")}
    assert len(list((tmp_path / "data").glob("*.parquet"))) == 8
    assert len(rows_of(tmp_path / "labels")) == len(labels) == len(data) == 1000, "no row missing or double"

    broken = {row["id"] for row in data if row["id"] % 100 == 7} if task == "caption" else set()
    rejected = {id: row["reason"] for id, row in labels.items() if row["status"] == "rejected"}
    assert set(rejected) == broken
    assert all(reason.startswith("image: ") for reason in rejected.values())
    assert len(set(rejected.values())) == (5 if broken else 0), "one reason for each of the five faults"

    exact = sum(labels[row["id"]]["caption"] == row["truth"] for row in data) / (1000 - len(broken))
    assert exact >= bar
    assert figures["exact_match"] == pytest.approx(exact)
    assert (figures["rows"], figures["ok"], figures["rejected"]) == (1000, 1000 - len(broken), len(broken))
    assert figures["rows_per_second"] > 0
    assert sum(row["alt_text"] == row["truth"] for row in data) == 0, "before, no alt text was right"


SCENE = load_spec(MODEL_PATH.parent / "json.yaml").label.json_schema


def test_the_json_demo_labels_1000_rows_and_every_text_fits_the_schema(tmp_path):
    figures_of_the_demo("json", tmp_path, "--no-ray")
    data = [row for path in sorted((tmp_path / "data").glob("*.parquet")) for row in pq.read_table(path).to_pylist()]
    labels = {row["id"]: row for row in rows_of(tmp_path / "labels")}
    sound = [labels[row["id"]] for row in data if row["id"] % 100 != 7]
    assert len(labels) == 1000
    assert {row["status"] for row in sound} == {"ok"}
    validator = Draft202012Validator(SCENE)
    assert all(validator.is_valid(json.loads(row["text"])) for row in sound)
    truths = {row["id"]: json.loads(row["scene"]) for row in data}
    exact = sum({key: row[key] for key in SCENE["properties"]} == truths[row["id"]] for row in sound) / len(sound)
    assert exact >= 0.97


def test_two_runs_of_the_json_demo_are_shown_side_by_side():
    one = {
        "task": "json", "rows": 40, "ok": 39, "rejected": 1, "reasons": {"image: empty": 1}, "judged": 39,
        "parse_rejected": 0, "exact_match": 1.0, "rows_per_second": 7.0,
    }  # fmt: skip
    other = {**one, "ok": 30, "rejected": 10, "reasons": {"image: empty": 1, "parse: not JSON": 9}, "parse_rejected": 9}
    console = Console(record=True, width=100)
    show_demo({**one, "unconstrained": other}, console)
    lines = {line.split("│")[1].strip(): line for line in console.export_text().splitlines() if line.count("│") > 2}
    assert lines["fits the schema"].split("│")[2:4] == [" 100.0%      ", " 76.9%         "]
    assert lines["parse: not JSON"].split("│")[2:4] == [" 0           ", " 9             "]
    assert demo_spec(Task.json, Path("x"), constrain=False).label.constrain is False
