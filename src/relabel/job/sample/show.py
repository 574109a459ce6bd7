"""A prediction as a person reads it, on stderr. Knows the names of its figures; computes nothing but their spelling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

Figures = Mapping[str, object]

SPEEDS = {
    "measured": "measured here",
    "rate": "of an earlier run",
    "roofline": "an estimate from the card's figures, not measured",
}
LENGTHS = {
    "sample": "as the sample has them",
    "rate": "as the earlier run had them",
    "most": "as long as they may be: --measure finds out how long they are",
}
BAR = 32


def show_prediction(figures: Figures, console: Console) -> None:
    """Print the figures of a plan with a sample."""
    table = Table(box=SIMPLE_HEAD, show_header=False)
    table.add_column()
    table.add_column()
    for name, value in _lines(figures):
        table.add_row(name, value)
    console.print(table)
    _show_lengths(_of(figures, "prompt_tokens"), console)
    for remark in cast(Sequence[str], figures["remarks"]):
        console.print(f"relabel: {remark}", markup=False, highlight=False, soft_wrap=True)


def _lines(figures: Figures) -> list[tuple[str, str]]:
    prompts, rejects, output = (_of(figures, name) for name in ("prompt_tokens", "rejects", "output_tokens"))
    lines = [
        ("rows to do", f"{figures['rows_left']:,} of {figures['rows']:,}"),
        ("sample", f"{figures['sample']:,} rows of {figures['sampled_units']:,} units, seed {figures['seed']}"),
        (
            "prompt tokens",
            f"mean {_number(prompts['mean'])}, "
            f"{', '.join(f'{name} {_number(prompts[name])}' for name in ('p50', 'p95', 'p99'))}, "
            f"longest {_number(prompts['max'])}; {_number(prompts['total'])} in all",
        ),
        ("rejected", f"{rejects['rows']} of {figures['sample']} ({cast(float, rejects['share']):.1%})"),
    ]
    for found in cast(Mapping[str, Figures], rejects["reasons"]).values():
        lines.append(("", f"{found['rows']} {found['example']}"))
    lines += [
        ("output tokens", f"{_between(_of(output, 'total'))} in all, {LENGTHS[str(output['from'])]}"),
        ("fits", _fits(figures)),
    ]
    if figures["speed"] is not None:
        start = figures["start_seconds"]
        lines += [
            ("speed", SPEEDS[str(figures["speed"])]),
            ("GPU hours", _between(_of(figures, "gpu_hours"))),
            (
                "by the clock",
                f"{_clock(_of(figures, 'seconds'))}{f'; {start:g} s to load the model' if start else ''}",
            ),
        ]
    if figures["dollars"] is not None:
        lines.append(("dollars", _between(_of(figures, "dollars"))))
    requests = cast(Mapping[str, int], figures["store_requests"])
    stored = "" if figures["output_bytes"] is None else f"about {_bytes(cast(int, figures['output_bytes']))}, "
    lines.append(
        ("output", stored + f"{requests['put']:,} writes, {requests['get']:,} reads, {requests['list']:,} lists")
    )
    return lines


def _fits(figures: Figures) -> str:
    if figures["fits"] is None:
        return "not known: --gpu names a card"
    where = f" on {figures['gpu']}" if figures["gpu"] else ""
    if not figures["fits"]:
        return f"no{where}"
    return f"yes{where}, {_number(figures['rows_at_once'])} rows at once"


def _show_lengths(prompts: Figures, console: Console) -> None:
    bins = cast(Sequence[Mapping[str, int]], prompts["histogram"])
    most = max((one["rows"] for one in bins), default=0)
    for one in bins:
        bar = "█" * max(1, round(BAR * one["rows"] / most)) if one["rows"] else ""
        line = f"  up to {one['up_to']:>7,} tokens {bar:<{BAR}} {one['rows']:,}"
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _between(interval: Figures) -> str:
    if interval["mid"] is None:
        return "not known"
    return f"{_number(interval['mid'])} ({_number(interval['low'])} to {_number(interval['high'])})"


def _clock(seconds: Figures) -> str:
    def spelled(value: object) -> str:
        value = cast(float, value)
        return f"{value:.1f} s" if value < 120 else f"{value / 60:.1f} min" if value < 7200 else f"{value / 3600:.1f} h"

    return f"{spelled(seconds['mid'])} ({spelled(seconds['low'])} to {spelled(seconds['high'])})"


def _bytes(number: int) -> str:
    size, unit = next(
        (size, unit) for size, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")) if number >= size or size < 1e4
    )
    return f"{number / size:,.1f} {unit}"


def _number(value: object) -> str:
    if value is None:
        return "-"
    number = cast(float, value)
    return f"{number:,.0f}" if number >= 1000 or number == int(number) else f"{number:.3g}"


def _of(figures: Figures, name: str) -> Figures:
    return cast(Figures, figures[name])
