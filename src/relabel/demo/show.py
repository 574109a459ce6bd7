"""The demo's figures as a table for a person. Knows how to print, not how anything was counted."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from relabel.demo.report import Figures


def show_demo(figures: Figures, console: Console) -> None:
    """Print rows, rejects by reason, exact matches before and after, and rows a second; two runs side by side."""
    runs = [figures, figures["unconstrained"]] if "unconstrained" in figures else [figures]
    table = Table(title=f"relabel demo, task {figures['task']}", show_header=len(runs) > 1)
    for heading in ("", "constrained", "unconstrained")[: 1 + len(runs)]:
        table.add_column(heading)
    table.add_row("rows", *(str(one["rows"]) for one in runs))
    table.add_row("labelled", *(str(one["ok"]) for one in runs))
    table.add_row("rejected", *(str(one["rejected"]) for one in runs))
    for reason in sorted({reason for one in runs for reason in one["reasons"]}):
        table.add_row(f"    {reason}", *(str(one["reasons"].get(reason, 0)) for one in runs))
    if figures["task"] != "json":
        table.add_row("exact before (the alt text)", *(f"{one['exact_match_before']:.1%}" for one in runs))
    table.add_row("exact after (the label)", *(f"{one['exact_match']:.1%}" for one in runs))
    if figures["task"] == "json":
        table.add_row("fits the schema", *(f"{1 - one['parse_rejected'] / one['judged']:.1%}" for one in runs))
    table.add_row("rows a second", *(f"{one['rows_per_second']:.1f}" for one in runs))
    console.print(table)
