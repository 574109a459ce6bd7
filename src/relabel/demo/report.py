"""What became of the rows of the demonstration dataset, as figures. Knows no files."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Figures = dict[str, Any]
"""What the line of JSON says, by name."""
Task = Literal["caption", "rewrite", "json"]


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
