"""What is run on a GPU when one is there runs on a CPU before: every part, with tiny shapes, and each has figures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.gpu.plan import CHECKS, PARTS

ROOT = Path(__file__).parents[3]
ABSENT = ("ray", "pydantic", "obstore", "jsonschema_rs", "llguidance", "typer", "moto", "jsonschema", "torchvision")
"""Not on the machines with a GPU, or not on each."""
EXPECTED = {
    "matrix_product": {"tflops_per_second"},
    "load": set[str](),
    "parity": {"difference_continuous"},
    "300/50": {"rows_per_second", "output_tokens_per_second", "total_tokens_per_second", "host_launch_ms_per_step"},
    "decode": {"ms_per_step", "kernels", "idle_share"},
    "mixed": {"ms_per_step", "kernels", "idle_share"},
    "static 300/50": {"rows_per_second"},
    "one by one 300/50": {"rows_per_second"},
    "decoding": {"images_per_second"},
    "engine": {"images_per_second", "rows_per_second"},
    "engine beside decoding": {"images_per_second"},
}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict:
    folder = tmp_path_factory.mktemp("out")
    subprocess.run(
        ["bash", str(ROOT / "benchmarks/gpu.sh"), "--dry"],
        env={**os.environ, "OUT": str(folder), "PYTHON": sys.executable, "OMP_NUM_THREADS": "1"},
        check=True,
        timeout=280,
    )
    return json.loads((folder / "gpu_dry.json").read_text())


@pytest.mark.slow
def test_every_item_of_every_part_has_figures(report: dict) -> None:
    assert list(report["parts"]) == [part.module for part in PARTS]
    for part in PARTS:
        items = report["parts"][part.module]
        assert list(items) == [item.name for item in part.items]
        for name, figures in items.items():
            assert not figures.keys() & {"error", "not_run", "device_lost"}, (name, figures)
            absent = {key for key in EXPECTED.get(name, set()) if not figures.get(key)}
            assert not absent, f"{part.module} / {name} has no {absent}"
    assert report["versions"]["torch"]
    assert report["card"] == "dry"


@pytest.mark.slow
def test_the_tests_of_the_device_run_where_a_cpu_can_take_its_place(report: dict) -> None:
    passed = {name: report["parts"]["checks"][name]["passed"] for name in CHECKS}
    assert passed["equality"] > 30
    assert passed["kernels"] > 10
    assert passed["sampling"] >= 5
    assert len(report["parts"]["checks"]["waits"]["skipped"]) > 10, "the waits of a CPU say nothing"


def test_every_file_of_checks_is_in_the_plan() -> None:
    files = {path.stem.removeprefix("test_") for path in (ROOT / "tests/engine/cuda").glob("test_*.py")}
    assert files == set(CHECKS)


def without(code: str) -> subprocess.CompletedProcess[str]:
    """Python where what is absent cannot be imported."""
    code = f"import sys; sys.modules.update(dict.fromkeys({ABSENT})); {code}"
    environment = {**os.environ, "PYTHONPATH": "src:."}
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)


def test_nothing_that_is_run_on_a_gpu_needs_what_is_not_there() -> None:
    modules = [f"benchmarks.gpu.{path.stem}" for path in (ROOT / "benchmarks/gpu").glob("[a-z]*.py")]
    names = ["relabel.engine", "relabel.engine.loading", "relabel.bench", "relabel.bench.__main__", *modules]
    done = without(f"import importlib; [importlib.import_module(name) for name in {names}]")
    assert done.returncode == 0, done.stderr


def test_the_tests_of_the_device_are_collected_without_ray() -> None:
    done = without("import pytest; sys.exit(pytest.main(['--collect-only', '-q', '-m', 'gpu', 'tests/engine/cuda']))")
    assert done.returncode == 0, done.stdout
    assert all(f"test_{name}.py" in done.stdout for name in CHECKS)
