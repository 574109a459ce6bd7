"""The tables, on made-up figures."""

from __future__ import annotations

import io

from rich.console import Console

from relabel.bench.figures import Comparison, Figures, Method
from relabel.bench.show import show_bench


def shown(device: str, ways: dict[str, Method]) -> str:
    ratio = {"wall": 3.0, "cpu": 2.0}
    comparison = Comparison(
        prompt_tokens=10,
        new_tokens=64,
        ways=ways,
        ratios={"static": {"padded_64": ratio}, "continuous": {"padded_64": ratio}},
        verdicts={},
        goodput={},
    )
    figures = Figures(
        model="a model",
        device=device,
        device_name="a machine",
        threads=1,
        dtype="float32",
        cpu_computes_bfloat16=False,
        rows=4,
        turns=1,
        gemm_flops_per_second={"float32": 9.4e10},
        memory_bytes_per_second=None,
        versions={},
        workloads={"ragged": comparison},
    )
    stream = io.StringIO()
    show_bench(figures, Console(file=stream, width=80))
    return stream.getvalue()


def test_a_line_for_each_way_with_the_engines_over_it():
    way = Method(computed_in="float32", rows=4, rows_per_second=5.0, rows_per_cpu_second=6.0, fraction_of_gemm=0.25)
    lines = shown("cpu", {"padded_64": way, "static": way}).splitlines()
    assert any(line.split() == ["padded_64", "float32", "6.00", "25.0%", "2.00", "x", "2.00", "x"] for line in lines)
    assert any(line.split() == ["static", "float32", "6.00", "25.0%"] for line in lines)
    assert any("94 GFLOP/s in float32" in line for line in lines)


def test_a_gpu_is_timed_by_the_clock_and_has_a_roofline():
    way = Method(
        computed_in="float32",
        rows=4,
        rows_per_second=5.0,
        rows_per_cpu_second=6.0,
        fraction_of_gemm=0.25,
        fraction_of_roofline=0.5,
    )
    lines = shown("cuda", {"padded_64": way}).splitlines()
    assert any(
        line.split() == ["padded_64", "float32", "5.00", "25.0%", "50.0%", "3.00", "x", "3.00", "x"] for line in lines
    )


def test_what_could_not_run_says_why():
    text = shown("cpu", {"generate_batch": Method(computed_in="float32", reason="MemoryError: [too] much")})
    assert "generate_batch could not run: MemoryError: [too] much" in text
