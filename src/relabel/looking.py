"""The command that makes an output something to look at, apart from those that do and count."""

from __future__ import annotations

from pathlib import Path

from relabel import options as given
from relabel.ending import finish


def report(
    out: given.Folder,
    file: given.PageFile = Path("report.html"),
    old: given.OldColumn = None,
    rows: given.PageRows = 200,
    seed: given.DrawSeed = 0,
    figures: given.FiguresAlone = False,
) -> None:
    """Write one HTML file about OUT that needs nothing else: figures, rejects, and rows with pictures and old labels.

    Also while a run is at work. The file asks for nothing; it holds texts and pictures of rows.
    """
    from relabel.report.report import report as report_of

    found = report_of(out, num_rows=rows, old=old, seed=seed)
    finish(found.to_json() if figures else found.write(file), complete=True)
