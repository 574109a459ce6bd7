"""The figures of a run as lines to read, what others published beside them. Measures nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.gpu.shapes import PUBLISHED

Figures = Mapping[str, object]
COLUMNS = ("rows_per_second", "output_tokens_per_second", "total_tokens_per_second", "share_of_roofline")
COLUMNS += ("replayed_share_of_steps", "host_launch_ms_per_step", "wall_ms_per_step")


def table_of(parts: Mapping[str, Mapping[str, Figures]]) -> str:
    """One line for each text shape, and where the time of decoding goes."""
    text = parts.get("text", {})
    shapes = {name: figures for name, figures in text.items() if "rows_per_second" in figures}
    lines = [["in/out", *COLUMNS, "published"]]
    lines += [
        [name, *(_cell(figures.get(column)) for column in COLUMNS), _published(name)]
        for name, figures in shapes.items()
    ]
    return "\n".join([*_aligned(lines), *_ratios(shapes), "", *_kernels(text.get("decode", {}))])


def _ratios(shapes: Mapping[str, Figures]) -> list[str]:
    """The continuous engine over the other ways, on the shape that all of them were given."""
    ours = shapes.get("300/50", {}).get("rows_per_second")
    rivals = {name: shapes.get(f"{name} 300/50", {}).get("rows_per_second") for name in ("static", "one by one")}
    return [
        f"300/50: continuous {ours / theirs:.2f} times {name}"
        for name, theirs in rivals.items()
        if isinstance(ours, int | float) and isinstance(theirs, int | float) and theirs
    ]


def _published(name: str) -> str:
    return ", ".join(f"{key.replace('_', ' ')} {value:g}" for key, value in PUBLISHED.get(name, {}).items())


def _kernels(decode: Figures) -> list[str]:
    kernels = decode.get("kernels")
    if not isinstance(kernels, list):
        return []
    lines = [["us a step", "calls", "share", "kernel of a decode step"]]
    lines += [
        [*(_cell(one[key]) for key in ("us_per_step", "calls_per_step", "share")), one["kernel"][:90]]
        for one in kernels
    ]
    return [*_aligned(lines), f"idle {_cell(decode.get('idle_share'))} of the time"]


def _cell(value: object) -> str:
    return f"{value:,.4g}" if isinstance(value, int | float) else "-"


def _aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
