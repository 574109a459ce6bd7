"""What a reader of an output finds in it, by whichever way it was written: rows that are lost, doubled, or no label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The rows of one output."""

    num_rows: int
    """Of the source."""
    times: Counter[int]
    """How often each row is there, by its id."""
    texts: dict[int, str]
    """Of the rows that have a label."""
    rejects: dict[int, str]
    """Why the others have none, without what follows the first colon."""

    @property
    def lost(self) -> int:
        """Rows of the source that are not there."""
        return sum(row not in self.times for row in range(self.num_rows))

    @property
    def doubled(self) -> int:
        """Rows more than there should be."""
        return self.times.total() - len(self.times)

    def to_json(self) -> dict[str, object]:
        """The counts, and the reasons of rejects by row."""
        return {"labelled": len(self.texts), "rejected": self.rejects, "lost": self.lost, "doubled": self.doubled}


def parts_of(folder: Path) -> list[Path]:
    """The files that readers take for data, oldest first."""
    return sorted(_visible(folder), key=lambda path: path.stat().st_mtime_ns) if folder.exists() else []


def read_outcome(folder: Path, num_rows: int) -> Outcome:
    """All rows of an output."""
    times: Counter[int] = Counter()
    texts: dict[int, str] = {}
    rejects: dict[int, str] = {}
    for path in parts_of(folder):
        for row in _rows(pq.read_table(path, partitioning=None)):
            times[row["id"]] += 1
            why = row.get("reason") or row.get("__inference_error__")
            if why:
                rejects[row["id"]] = str(why).partition(":")[0]
            else:
                texts[row["id"]] = row.get("text", row["caption"])
    return Outcome(num_rows=num_rows, times=times, texts=texts, rejects=rejects)


def _rows(table: pa.Table) -> list[dict[str, object]]:
    wanted = [name for name in ("id", "caption", "text", "reason", "__inference_error__") if name in table.column_names]
    return table.select(wanted).to_pylist()


def _visible(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*.parquet"):
        if not any(name.startswith(("_", ".")) for name in path.relative_to(folder).parts):
            yield path
