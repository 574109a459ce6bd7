"""What an audit counted: figures, names and sentences. Knows neither plans nor stores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from relabel.data.quality.figures import Quality

_NUM_NAMED = 20
"""Names of each kind in the JSON line, which must stay a line when 50,000 parts are missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What the audit counted."""

    units: int
    published: int
    """Units whose part is there and sound."""
    planned_rows: int
    rows: int
    ok: int
    rejected: int
    reasons: dict[str, int]
    missing: tuple[str, ...]
    damaged: tuple[str, ...]
    stale: tuple[str, ...]
    """Parts of another recipe, another version of their source file, or another cut of it."""
    foreign: tuple[str, ...]
    """Visible Parquet files that are no part of the plan."""
    unreadable: tuple[tuple[str, str], ...]
    """Source files that could not be planned, and why."""
    gone_files: int = 0
    """Files that are gone from the source, and whose labels stay."""
    gone_rows: int = 0
    """Rows of these files that are in the output."""
    lost_rows: int = 0
    """Rows of these files that have no label and never will: they are neither planned nor missing."""
    quality: Mapping[str, Quality] = field(default_factory=dict)
    """Of each label by name, over all sound parts; the name of a single one is empty."""
    exceeded: tuple[str, ...] = ()
    """A sentence for each limit of the gate that is exceeded."""

    @property
    def complete(self) -> bool:
        """Whether every row is there, once."""
        return not (self.missing or self.damaged or self.stale or self.foreign or self.unreadable)

    @property
    def passed(self) -> bool:
        """Whether every row is there and no limit of the gate is exceeded."""
        return self.complete and not self.exceeded

    @property
    def problems(self) -> list[str]:
        """A sentence for each kind of thing that is wrong, each unreadable source file, each limit that is exceeded."""
        again = "run the same command again"
        if self.gone_files:
            again += ", and delete what stays so: its source file is gone"
        kinds = {
            "missing": "is not published: run the same command again",
            "damaged": f"cannot be read back: {again}",
            "stale": f"was made from something else: {again}",
            "foreign": "is not relabel's: move it out of the output",
        }
        names = {kind: getattr(self, kind) for kind in kinds}
        return [
            f"{len(names[kind])} parts {kind}: {names[kind][0]}{' and others' if names[kind][1:] else ''} {what}"
            for kind, what in kinds.items()
            if names[kind]
        ] + [
            *(f"the source file {path} is unreadable: {why}" for path, why in self.unreadable),
            *self.exceeded,
        ]

    def to_json(self) -> dict[str, object]:
        """The figures; of the names of each kind the first few."""
        counts = ("units", "published", "planned_rows", "rows", "ok", "rejected", "reasons", "complete", "passed")
        gone = ("gone_files", "gone_rows", "lost_rows")
        names = ("missing", "damaged", "stale", "foreign")
        return {
            **{name: getattr(self, name) for name in counts},
            **{name: getattr(self, name) for name in gone},
            **{f"num_{name}": len(getattr(self, name)) for name in names},
            **{name: list(getattr(self, name)[:_NUM_NAMED]) for name in names},
            "unreadable": [{"file": path, "why": why} for path, why in self.unreadable],
            "quality": {name: quality.summary() for name, quality in self.quality.items()},
            "exceeded": list(self.exceeded),
        }
