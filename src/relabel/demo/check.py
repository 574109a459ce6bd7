"""Compares labels with the truth of the demonstration dataset, row by row, with pyarrow alone.

It shares no code with what wrote the labels: it lists the part files itself and joins them to the data on `id`.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from relabel.demo.dataset import is_broken
from relabel.demo.report import DemoReport, Task

FIELDS = ("background", "count", "shapes")
"""The columns of a label of the task `json`."""


def check_labels(data_dir: str | Path, labels_dir: str | Path, task: Task, column: str = "caption") -> DemoReport:
    """Read the dataset and every published part of its labels, and count."""
    data = _read(Path(data_dir), ["id", "alt_text", "scene" if task == "json" else "truth"])
    labels = _read(Path(labels_dir), ["id", *(FIELDS if task == "json" else [column]), "status", "reason"])
    truths = {row["id"]: json.loads(row["scene"]) if task == "json" else row["truth"] for row in data}
    judged = {row["id"] for row in data if task == "rewrite" or not is_broken(row["id"])}
    times = Counter(row["id"] for row in labels)
    label_of = {row["id"]: {name: row[name] for name in FIELDS} if task == "json" else row[column] for row in labels}
    rejected = [row for row in labels if row["status"] != "ok"]
    labelled = {row["id"] for row in labels if row["status"] == "ok"}
    unparsed = {row["id"] for row in rejected if (row["reason"] or "").startswith("parse")} & judged
    return DemoReport(
        task=task,
        rows=len(data),
        ok=len(labels) - len(rejected),
        rejected=len(rejected),
        reasons=dict(sorted(Counter(row["reason"] or "none" for row in rejected).items())),
        judged=len(judged),
        exact_before=sum(row["id"] in judged and row["alt_text"] == truths[row["id"]] for row in data),
        exact_after=sum(row in labelled and label_of[row] == truths[row] for row in judged),
        missing=tuple(sorted(truths.keys() - times.keys())),
        double=tuple(sorted(row for row, count in times.items() if count > 1)),
        unknown=tuple(sorted(times.keys() - truths.keys())),
        broken_labelled=tuple(sorted((labelled & truths.keys()) - judged)),
        sound_rejected=tuple(sorted({row["id"] for row in rejected} & judged - unparsed)),
        parse_rejected=len(unparsed),
    )


def _read(folder: Path, columns: list[str]) -> list[dict[str, Any]]:
    parts = [
        path
        for path in sorted(folder.rglob("*.parquet"))
        if not any(piece.startswith(("_", ".")) for piece in path.relative_to(folder).parts)
    ]
    return [row for path in parts for row in pq.ParquetFile(path).read(columns=columns).to_pylist()]
