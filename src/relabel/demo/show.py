"""The demo's figures as a table for a person. Knows how to print, not how anything was counted."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table


def show_demo(figures: dict[str, Any], console: Console) -> None:
    """Print rows, rejects by reason, exact matches before and after, and rows a second."""
    table = Table(title=f"relabel demo, task {figures['task']}", show_header=False)
    table.add_row("rows", str(figures["rows"]))
    table.add_row("labelled", str(figures["ok"]))
    table.add_row("rejected", str(figures["rejected"]))
    for reason, count in sorted(figures["reasons"].items()):
        table.add_row(f"    {reason}", str(count))
    table.add_row("exact before (the alt text)", f"{figures['exact_match_before']:.1%}")
    table.add_row("exact after (the label)", f"{figures['exact_match']:.1%}")
    table.add_row("rows a second", f"{figures['rows_per_second']:.1f}")
    console.print(table)
