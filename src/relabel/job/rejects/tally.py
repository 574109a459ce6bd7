"""How many of the first rows are rejected and for what, and when that says that the run is not worth its time.

A spec that fits no row rejects every row: whoever pays for GPUs wants to hear it in the first minute. Counts codes and
keeps one published reason of each; must never hold the text of a row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from relabel.spec import Query

NEARLY_ALL = 0.9
"""The share of rows, rejected for one reason, from which on a spec is at fault and no longer the rows."""
FEWEST_READ = 32
"""Rows without a prompt that are enough to refuse a run before anything is generated."""
FEWEST_LABELLED = 256
"""Rows that a run has done before it may be stopped: one unit of images is half of it."""


class RejectTally:
    """Counts the rejects among the first rows of a run."""

    def __init__(self) -> None:
        self.num_rows = 0
        """Rows that were counted, with a label or without."""
        self.reasons: Counter[str] = Counter()
        """Rejected rows by code."""
        self._examples: dict[str, str] = {}
        """One whole reason for each code."""

    @property
    def num_rejected(self) -> int:
        """Rows that were rejected."""
        return self.reasons.total()

    def add(self, num_rows: int, reasons: Mapping[str, int], examples: Mapping[str, str]) -> None:
        """Count rows: how many were rejected for each code, and a whole reason of each."""
        self.num_rows += num_rows
        self.reasons.update(reasons)
        self._examples = {**examples, **self._examples}

    def add_rows(self, reasons: Iterable[str | None]) -> None:
        """Count rows by their whole reasons; None for a row that is not rejected."""
        reasons = list(reasons)
        self.add(len(reasons), *by_code(reason for reason in reasons if reason is not None))

    def hopeless(self, queries: Iterable[Query], *, fewest: int) -> str | None:
        """The sentence that ends a run, where of at least `fewest` rows nearly all are rejected for one reason."""
        if self.num_rows < fewest or not self.reasons:
            return None
        limit, (_, most) = _limit(queries), self.reasons.most_common(1)[0]
        is_allowed = limit is None or most <= limit * self.num_rows
        return None if is_allowed or most < NEARLY_ALL * self.num_rows else self._sentence()

    def problem(self, queries: Iterable[Query]) -> str | None:
        """The sentence for whoever looks before the run, where more rows are rejected than may be."""
        limit = _limit(queries)
        if limit is None or self.num_rejected <= limit * self.num_rows:
            return None
        return self._sentence()

    def to_json(self) -> dict[str, object]:
        """The counts."""
        return {"rows": self.num_rows, "rejected": self.num_rejected, "reasons": dict(sorted(self.reasons.items()))}

    def _sentence(self) -> str:
        code, most = self.reasons.most_common(1)[0]
        return (
            f"{self.num_rejected} of the first {self.num_rows} rows are rejected, {most} of them because of "
            f"{self._examples[code]}; correct the spec or the source, or allow it by label.gate.max_rejected"
        )


def by_code(reasons: Iterable[str]) -> tuple[dict[str, int], dict[str, str]]:
    """Whole reasons by code: how many there are, and the most frequent one."""
    whole = Counter(reasons)
    counts: Counter[str] = Counter()
    for reason, number in whole.items():
        counts[_code(reason)] += number
    examples: dict[str, str] = {}
    for reason, _ in whole.most_common():
        examples.setdefault(_code(reason), reason)
    return dict(sorted(counts.items())), examples


def _code(reason: str) -> str:
    return reason.partition(":")[0]


def _limit(queries: Iterable[Query]) -> float | None:
    """The largest share of rejects that any label allows; None where one allows all."""
    limits = [query.label.gate.max_rejected for query in queries]
    return None if None in limits else max(limit for limit in limits if limit is not None)
