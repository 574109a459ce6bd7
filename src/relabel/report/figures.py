"""The figures of a report: how far the run is, each limit of the gate, what was predicted, and rejects with examples.

Joins what documents and stamps say; opens no part. Knows nothing of HTML.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from relabel.data.output.status import Status
from relabel.data.runs.heard import Runs
from relabel.job.sample.kept import Forecast, compared
from relabel.rejected import Code
from relabel.report.row import Row, clipped
from relabel.spec import Query

EXAMPLES = 3
State = Literal["complete", "running", "silent", "gate exceeded", "incomplete"]
_KINDS = {
    "rejected": "rows without a label",
    "empty": "rows for which nothing was written",
    "truncated": "labels that max_new_tokens cut off",
    "repeated": "labels that repeat themselves",
    "refused": "labels that refuse to answer",
    "duplicates": "labels that another row has, too",
    "changed": "labels that differ from the old ones",
    "unchanged": "labels that are the same as the old ones",
    "length_drift": "how much longer the labels are than the old ones",
    "vocabulary_drift": "distance of their words from those of the old ones",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One figure of one label's quality, and what the gate allows."""

    label: str
    """Empty where a row has a single one."""
    kind: str
    what: str
    value: float | None
    """None where there is nothing to divide by."""
    limit: float | None
    """None where the gate does not look at it."""

    @property
    def is_exceeded(self) -> bool:
        return self.limit is not None and self.value is not None and abs(self.value) > self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Rows that were rejected for one code."""

    code: str
    meaning: str
    rows: int
    examples: tuple[Mapping[str, object], ...]
    """Of the rows of the sample: file, row, detail, and the text without a label, as far as there is one."""


def state_of(found: Status) -> State:
    """How the run is, in a word."""
    if found.success and found.report.passed:
        return "complete"
    if found.runs.live:
        return "silent" if all(one.is_silent for one in found.runs.live) else "running"
    return "gate exceeded" if found.report.complete and found.report.exceeded else "incomplete"


def limits_of(found: Status, queries: Sequence[Query]) -> Iterator[Limit]:
    """The gate of each label, figure by figure; what is neither limited nor known is left out."""
    report = found.report
    for query in queries:
        quality, gate = report.quality.get(query.name), query.label.gate
        missing = report.rows - (quality.num_labels if quality else 0) if query.name else report.rejected
        rates = {"rejected": missing / report.rows if report.rows else None, **(quality.rates() if quality else {})}
        for kind, what in _KINDS.items():
            value, limit = rates.get(kind), cast(float | None, getattr(gate, f"max_{kind}"))
            if value is not None or limit is not None:
                yield Limit(label=query.name, kind=kind, what=what, value=value, limit=limit)


def reasons_of(counts: Mapping[str, int], rows: Sequence[Row]) -> list[Reason]:
    """Each reason with examples, the most frequent first."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [Reason(code=code, meaning=_meaning(code), rows=n, examples=_examples(code, rows)) for code, n in ordered]


def against(forecast: Forecast, runs: Runs) -> dict[str, object] | None:
    """What was predicted of as many rows as all runs have done, beside what they took; None before the first row."""
    beats = [one.beat for one in runs.heard if one.beat.command == "run"]
    done = {name: sum(getattr(beat, name) for beat in beats) for name in ("rows", "rejected", "output_tokens")}
    if not done["rows"]:
        return None
    seconds = {
        "seconds": sum(beat.seconds for beat in beats),
        "engine_seconds": 3600 * sum(beat.gpu_hours for beat in beats),
    }
    return compared(forecast, {**done, **seconds}, 1.0)  # their hours are those of all GPUs of an engine already


def _meaning(code: str) -> str:
    return Code(code).meaning if code in set(Code) else ""


def _examples(code: str, rows: Sequence[Row]) -> tuple[Mapping[str, object], ...]:
    found = [row for row in rows if row.code == code][:EXAMPLES]
    return tuple(
        {
            "file": row.file,
            "row": row.number,
            "detail": row.reason.partition(": ")[2],
            "text": next((clipped(text) for answer in row.answers for text in answer.texts), None),
        }
        for row in found
    )
