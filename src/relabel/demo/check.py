"""Compares labels with the truth of the demonstration dataset, row by row, with pyarrow alone.

It shares no code with what wrote the labels: it lists the part files itself and joins them to the data on `id`.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow.parquet as pq

from relabel.demo.dataset import is_broken

Figures = dict[str, Any]
"""What the line of JSON says, by name."""
Task = Literal["caption", "rewrite", "json"]
FIELDS = ("background", "count", "shapes")
"""The columns of a label of the task `json`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoReport:
    """What became of the rows of the dataset. Lists hold ids, in order."""

    task: Task
    rows: int
    """Rows of the dataset."""
    ok: int
    rejected: int
    reasons: dict[str, int]
    """Rejected rows by reason."""
    judged: int
    """Rows that should have a label: those with a sound image, or all of them where no image is shown."""
    exact_before: int
    """Judged rows whose alt text was already the truth: none of the task `json`."""
    exact_after: int
    """Judged rows whose label is the truth."""
    missing: tuple[int, ...]
    double: tuple[int, ...]
    unknown: tuple[int, ...]
    """Labels for rows that the dataset does not have."""
    broken_labelled: tuple[int, ...]
    """Rows with a broken image that were not rejected."""
    sound_rejected: tuple[int, ...]
    parse_rejected: int
    """Judged rows whose text was no label. They are the model's fault, not the job's, and not in `sound_rejected`."""

    @property
    def exact_match(self) -> float:
        return self.exact_after / self.judged if self.judged else 0.0

    @property
    def exact_match_before(self) -> float:
        return self.exact_before / self.judged if self.judged else 0.0

    @property
    def every_row_once(self) -> bool:
        return not (self.missing or self.double or self.unknown)

    def as_dict(self) -> Figures:
        """For the line of JSON."""
        figures = asdict(self) | {"exact_match_before": self.exact_match_before, "exact_match": self.exact_match}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in figures.items()}


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
