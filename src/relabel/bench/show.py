"""The figures of a benchmark as tables for a person. Knows how to print, not how anything was measured."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from relabel.bench.figures import ENGINES, Comparison, Figures, ImageComparison


def show_bench(figures: Figures, console: Console) -> None:
    """One table a workload, and what the machine can do."""
    clock = "cpu" if figures.device == "cpu" else "wall"
    for name, comparison in figures.workloads.items():
        title = f"{figures.model}, {name}, {figures.rows} rows"
        if isinstance(comparison, ImageComparison):
            console.print(_image_table(title, comparison, clock))
        else:
            console.print(_table(title, comparison, clock))
        for way, reason in ((way, figure.reason) for way, figure in comparison.ways.items() if figure.reason):
            console.print(f"{way} could not run: {reason}", markup=False, highlight=False)
    rates = [f"{rate / 1e9:,.0f} GFLOP/s in {dtype}" for dtype, rate in figures.gemm_flops_per_second.items()]
    if figures.memory_bytes_per_second is not None:
        rates.append(f"{figures.memory_bytes_per_second / 1e9:,.0f} GB/s")
    seconds = "processor time" if clock == "cpu" else "the clock on the wall"
    for line in (
        f"by {seconds}; static and continuous: that engine over the way of the line",
        f"matrix products on {figures.device_name}: {', '.join(rates)}",
    ):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _table(title: str, comparison: Comparison, clock: str) -> Table:
    of_roofline = any(way.fraction_of_roofline is not None for way in comparison.ways.values())
    table = Table(title=title, box=SIMPLE_HEAD)
    table.add_column("way", no_wrap=True)
    table.add_column("computed in")
    for column in ("rows/s", "of GEMM", *(["of roofline"] if of_roofline else []), *ENGINES):
        table.add_column(column, justify="right")
    for name, way in comparison.ways.items():
        rate = way.rows_per_cpu_second if clock == "cpu" else way.rows_per_second
        table.add_row(
            name,
            way.computed_in,
            "-" if rate is None else f"{rate:.2f}",
            _percent(way.fraction_of_gemm),
            *([_percent(way.fraction_of_roofline)] if of_roofline else []),
            *_overs(comparison, name, clock),
        )
    return table


def _image_table(title: str, comparison: ImageComparison, clock: str) -> Table:
    table = Table(title=title, box=SIMPLE_HEAD)
    table.add_column("way", no_wrap=True)
    for column in ("images/s", "preparing", "vision", "text", *ENGINES):
        table.add_column(column, justify="right")
    for name, way in comparison.ways.items():
        whole = sum(way.seconds.values())
        table.add_row(
            name,
            f"{way.rows_per_cpu_second if clock == 'cpu' else way.rows_per_second:.2f}",
            *(_percent(seconds / whole) for seconds in way.seconds.values()),
            *_overs(comparison, name, clock),
        )
    return table


def _overs(comparison: Comparison, way: str, clock: str) -> list[str]:
    """Of each engine over this way."""
    overs = [comparison.ratios[engine].get(way) for engine in ENGINES]
    return ["" if over is None else f"{over[clock]:.2f} x" for over in overs]


def _percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{fraction:.1%}"
