"""A whole benchmark of images: what it says, and what it refuses."""

from __future__ import annotations

import json

import pytest

from relabel.bench import run_bench
from relabel.demo import MODEL_PATH
from relabel.errors import SpecError
from tests.bench.images.test_contenders import WAYS


@pytest.fixture(scope="module", params=["images", "images/4"])
def figures(request):
    return run_bench(
        model=str(MODEL_PATH), rows=5, dtype="float32", device="cpu", turns=2, workload=request.param
    ).to_json()


def test_every_way_ran_all_images_and_none_differs(figures):
    ((name, comparison),) = figures["workloads"].items()
    assert list(comparison["ways"]) == WAYS
    assert comparison["samples"] == {"images": 1, "images/4": 4}[name]
    for way, method in comparison["ways"].items():
        is_engine = way in ("static", "continuous")
        assert method["rows"] == 5
        assert method["differing_rows"] == (0 if is_engine or name == "images" else None)
        assert method["output_tokens"] == comparison["ways"]["static"]["output_tokens"] > 0
    json.dumps(figures)


def test_seconds_are_divided_among_preparing_vision_and_text(figures):
    ((_, comparison),) = figures["workloads"].items()
    for method in comparison["ways"].values():
        assert method["seconds"].keys() == {"preparing", "vision", "text"}
        assert all(seconds > 0 for seconds in method["seconds"].values())


def test_each_engine_is_compared_with_each_other_way(figures):
    ((_, comparison),) = figures["workloads"].items()
    for ratios in comparison["ratios"].values():
        assert list(ratios) == ["one_by_one", "padded_16"]


def test_vllm_is_not_measured_on_images():
    with pytest.raises(SpecError, match="on texts alone"):
        run_bench(model=str(MODEL_PATH), device="cpu", workload="images", engine="vllm")
