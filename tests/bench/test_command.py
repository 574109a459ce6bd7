"""`relabel bench` and `python -m relabel.bench`: figures on stdout, tables on stderr, no more packages than needed."""

from __future__ import annotations

import json
import subprocess
import sys

from typer.testing import CliRunner

from relabel.bench.__main__ import main
from relabel.cli import app
from relabel.demo import MODEL_PATH

WITHOUT = ("ray", "pyarrow", "typer", "pydantic", "obstore", "pandas")


def test_the_command_prints_one_line_of_figures_and_writes_them(tiny_model, tmp_path):
    out = tmp_path / "figures.json"
    given = ["--model", tiny_model, "--rows", "2", "--dtype", "float32", "--device", "cpu", "--out", str(out)]
    result = CliRunner().invoke(app, ["bench", *given])
    assert result.exit_code == 0
    figures = json.loads(result.stdout.splitlines()[-1])
    assert json.loads(out.read_text()) == figures
    assert list(figures["workloads"]) == ["ragged"]


def test_a_wrong_workload_is_refused(tiny_model):
    result = CliRunner().invoke(app, ["bench", "--model", tiny_model, "--device", "cpu", "--workload", "1/1"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "use one of ragged, 300/50, 128/128, images, images/4" in result.stderr


def test_images_have_a_table_of_their_own(capsys):
    given = ["--model", str(MODEL_PATH), "--rows", "2", "--dtype", "float32", "--device", "cpu"]
    assert main([*given, "--workload", "images"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["workloads"]["images"]["ways"]["continuous"]["rows"] == 2
    heads = next(line.split() for line in printed.err.splitlines() if line.split()[:1] == ["way"])
    assert heads == ["way", "images/s", "preparing", "vision", "text", "static", "continuous"]


def test_the_module_does_the_same(tiny_model, tmp_path, capsys):
    out = tmp_path / "figures.json"
    given = ["--model", tiny_model, "--rows", "2", "--dtype", "float32", "--device", "cpu", "--workload", "300/50"]
    assert main([*given, "--out", str(out)]) == 0
    printed = capsys.readouterr()
    figures = json.loads(printed.out)
    assert json.loads(out.read_text()) == figures
    assert figures["workloads"]["300/50"]["ways"]["continuous"]["output_tokens"] == 2 * 50
    assert "padded_64_by_length" in printed.err


def test_the_module_refuses_with_a_sentence_and_exit_code_2(capsys):
    assert main(["--model", "/there/is/no/such/model", "--device", "cpu"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "does not exist" in printed.err


def test_the_module_needs_neither_ray_nor_typer():
    code = f"import sys; sys.modules.update(dict.fromkeys({WITHOUT})); import relabel.bench.__main__"
    subprocess.run([sys.executable, "-c", code], check=True)
