"""The commands about an output: how far it is, whether it is whole, and what is made of it for others.

Each a few lines over the Python API. None needs a model or Ray.
"""

from __future__ import annotations

from pathlib import Path

from relabel import options as given
from relabel.ending import finish
from relabel.job.progress.console import console


def status(out: given.Folder, watch: given.Watch = False) -> None:
    """Say how far the run into OUT has come, from any machine that reads it; exit code 0 where it is complete."""
    from relabel.data.output.status import status as status_of
    from relabel.data.runs.heard import Hearing
    from relabel.data.store.store import Store
    from relabel.watching import lines
    from relabel.watching import watch as watch_runs

    store = Store(out, create=False)
    if watch:
        watch_runs(Hearing(store), console)
    found = status_of(store)
    if not watch:
        console.print("\n".join(lines(found.runs)), markup=False, highlight=False, soft_wrap=True)
    finish(found.to_json(), complete=found.success and found.report.passed)


def verify(out: given.Folder) -> None:
    """Read every part of OUT back: one part a unit, every row once, checksums, schema and fingerprint."""
    from relabel.data.output.verify import verify as verify_store
    from relabel.data.store.store import Store

    verdict = verify_store(Store(out, create=False))
    for problem in verdict.problems:
        console.print(problem, markup=False, highlight=False, soft_wrap=True)
    finish(verdict.to_json(), complete=verdict.complete)


def export(
    out: given.Folder,
    file: given.ExportFile,
    format_: given.ExportKind = None,
    join: given.Join = False,
    only_ok: given.OnlyOk = False,
    shard_mb: given.ShardSize = 500,
) -> None:
    """Write the rows of OUT to one file for others to read, in the order of the source.

    The name says the format: .jsonl, .parquet, or .tar for the shards of a WebDataset. Of an output of OpenAI batch
    files, .jsonl is a batch output file.
    """
    from relabel.data.exports.export import export as export_store
    from relabel.data.store.store import Store

    store = Store(out, create=False)
    written = export_store(store, file, format=format_, join=join, only_ok=only_ok, shard_mb=shard_mb)
    finish(written.to_json(), complete=written.complete)


def push(
    out: given.Folder,
    target: given.PushTarget,
    public: given.Public = False,
    license: given.License = None,
    dry_run: given.DryRun = False,
) -> None:
    """Send the labels of OUT to the Hugging Face hub, with a card that says how they were made.

    The same command again goes on, and sends what is new.
    """
    from relabel.data.hub.push import push as push_store
    from relabel.data.store.store import Store

    pushed, card = push_store(Store(out, create=False), target, public=public, license=license, dry_run=dry_run)
    if dry_run:
        console.print(card, markup=False, highlight=False, soft_wrap=True)
    finish(pushed.to_json(), complete=pushed.complete)


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
