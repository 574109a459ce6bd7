"""The rules of the house that a reviewer would otherwise have to check by hand."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src" / "relabel").rglob("*.py"))
FORBIDDEN = {
    "data": {"torch", "transformers", "ray", "relabel.engine", "relabel.job", "relabel.demo", "relabel.cli"},
    "engine": {"ray", "pydantic", "obstore", "pyarrow", "relabel.data", "relabel.job", "relabel.demo", "relabel.cli"},
    "bench": {
        "ray",
        "pydantic",
        "typer",
        "pyarrow",
        "relabel.data",
        "relabel.job",
        "relabel.demo",
        "relabel.spec",
        "relabel.cli",
    },
    "demo": {"ray", "relabel.job", "relabel.cli"},
    "job": {"relabel.cli"},
}
RAY_FILES = {"job/attempts.py", "job/cluster.py", "job/graph.py", "job/run.py"}


def imports_of(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_the_sources_are_found():
    assert len(SOURCES) > 30


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_imports_point_one_way(folder):
    for path in SOURCES:
        if path.relative_to(ROOT / "src/relabel").parts[0] != folder:
            continue
        for name in imports_of(path):
            assert not any(name == bad or name.startswith(f"{bad}.") for bad in FORBIDDEN[folder]), f"{path}: {name}"


def test_only_four_files_know_ray():
    users = {
        path.relative_to(ROOT / "src/relabel").as_posix()
        for path in SOURCES
        if any(name == "ray" or name.startswith("ray.") for name in imports_of(path))
    }
    assert users == RAY_FILES


@pytest.mark.parametrize("name", ["batching", "calls", "goodput", "prefix", "request", "scheduler", "step"])
def test_the_batching_policy_needs_no_torch(name):
    packages = {module.partition(".")[0] for module in imports_of(ROOT / f"src/relabel/engine/{name}.py")}
    assert {"torch", "transformers"}.isdisjoint(packages)
    assert "numpy" not in packages or name == "request", "policy is plain Python over integers"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT / "src").as_posix())
def test_a_file_is_short_and_says_what_it_knows(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 300
    assert not text or ast.get_docstring(ast.parse(text)), "a module docstring says what it knows and must never know"


def test_nothing_trusts_code_from_a_model_or_from_data():
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        assert "trust_remote_code=True" not in text
        assert "LOAD_TRUNCATED_IMAGES = True" not in text
        assert not {"pickle", "cloudpickle"} & set(imports_of(path)), path


def test_the_file_map_of_the_readme_is_true():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `((?:src/relabel|jobs|benchmarks)/[^`]+)` \|", readme, re.MULTILINE))
    there = {path.relative_to(ROOT).as_posix() for path in SOURCES if path.read_text(encoding="utf-8")}
    there |= {path.relative_to(ROOT).as_posix() for path in (ROOT / "jobs").iterdir()}
    there |= {path.relative_to(ROOT).as_posix() for path in (ROOT / "benchmarks").glob("*.py")}
    assert listed == there


def test_the_tests_that_the_readme_names_are_there():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    below = readme.partition("## Faults and threats")[2].partition("## How it works")[0]
    named = re.findall(r"`tests/([^`]+\.py)()`", readme) + re.findall(r"`([\w/]+\.py)(?:::(\w+))?`", below)
    assert len(named) > 80
    for path, test in named:
        text = (ROOT / "tests" / path).read_text(encoding="utf-8")
        assert f"def {test}(" in text if test else "def test_" in text or "TestCase" in text, f"{path}::{test}"
