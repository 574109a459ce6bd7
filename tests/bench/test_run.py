"""A whole benchmark of a tiny model: what it says, and what it refuses."""

from __future__ import annotations

import json

import pytest

from relabel.bench import run_bench
from relabel.engine.vllm.installed import vllm_version
from relabel.errors import ModelRefused, SpecError

WAYS = ["one_by_one", "padded_64", "padded_64_by_length", "static", "continuous", "generate_batch"]


@pytest.fixture(scope="module")
def figures(tiny_model):
    return run_bench(model=tiny_model, rows=6, dtype="float32", device="cpu", turns=2).to_json()


def test_the_figures_name_model_machine_and_types(figures, tiny_model):
    assert figures.keys() == {
        "model", "device", "device_name", "threads", "dtype", "cpu_computes_bfloat16", "rows", "turns",
        "gemm_flops_per_second", "memory_bytes_per_second", "versions", "workloads",
    }  # fmt: skip
    assert (figures["model"], figures["device"], figures["dtype"]) == (tiny_model, "cpu", "float32")
    assert (figures["rows"], figures["turns"], figures["threads"]) == (6, 2, 1)
    assert figures["gemm_flops_per_second"].keys() == {"float32"}
    assert figures["versions"].keys() == {"relabel", "torch", "transformers", "python"}
    json.dumps(figures)


def test_a_cpu_is_given_the_ragged_workload_and_no_roofline(figures):
    assert list(figures["workloads"]) == ["ragged"]
    assert figures["memory_bytes_per_second"] is None
    assert {way["fraction_of_roofline"] for way in figures["workloads"]["ragged"]["ways"].values()} == {None}


def test_every_way_ran_all_rows_and_none_differs_in_float32(figures):
    comparison = figures["workloads"]["ragged"]
    assert comparison.keys() == {"prompt_tokens", "new_tokens", "ways", "ratios", "verdicts", "goodput"}
    assert list(comparison["ways"]) == WAYS
    for way in comparison["ways"].values():
        assert way.keys() == {
            "computed_in", "reason", "rows", "rows_per_second", "rows_per_cpu_second", "output_tokens",
            "fraction_of_gemm", "fraction_of_roofline", "differing_rows",
        }  # fmt: skip
        assert (way["computed_in"], way["reason"], way["rows"], way["differing_rows"]) == ("float32", None, 6, 0)
        assert way["output_tokens"] == comparison["ways"]["one_by_one"]["output_tokens"] > 0


def test_each_engine_is_compared_with_each_other_way(figures):
    comparison = figures["workloads"]["ragged"]
    assert comparison["ratios"].keys() == comparison["verdicts"].keys() == comparison["goodput"].keys()
    for ratios in comparison["ratios"].values():
        assert list(ratios) == ["one_by_one", "padded_64", "padded_64_by_length", "generate_batch"]
        assert {tuple(ratio) for ratio in ratios.values()} == {("wall", "cpu")}


def test_goodput_counts_the_turns_without_the_warming_up(figures):
    comparison = figures["workloads"]["ragged"]
    for goodput in comparison["goodput"].values():
        assert goodput["output_tokens"] == 2 * comparison["ways"]["static"]["output_tokens"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"dtype": "int4"}, "use one of bfloat16, float16, float32"),
        ({"workload": "ragged/64"}, "use one of ragged, 300/50, 128/128"),
        ({"device": "abacus"}, "use cpu or cuda"),
        ({"rows": 0}, "at least one of each"),
    ],
)
def test_what_cannot_be_run_is_refused_before_a_model_is_loaded(wrong, message):
    with pytest.raises(SpecError, match=message):
        run_bench(model="/there/is/no/such/model", **{"device": "cpu", **wrong})


def test_vllm_is_measured_only_where_it_is_installed(tiny_model):
    if vllm_version() is None:
        with pytest.raises(ModelRefused, match="vLLM is not installed"):
            run_bench(model=tiny_model, device="cpu", engine="vllm")
    with pytest.raises(SpecError, match="cannot be measured beside the others"):
        run_bench(model=tiny_model, device="cpu", engine="llama.cpp")
