"""The first rows of a spec as the rows of a page: their pictures, their prompts and, where there are any, their labels.

Knows the columns of a preview; nothing of how they came to be.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from relabel.data.sources.unit import Unit
from relabel.report.labelled import answer_of
from relabel.report.origin import Found, Origin
from relabel.report.page import PICTURE_BYTES, Page
from relabel.report.row import Row, shown
from relabel.spec import Query, Spec
from relabel.spec.section import column_of

Record = Mapping[Hashable, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """A table of first rows, and the source that it is of."""

    spec: Spec
    records: Sequence[Record]
    """A row of the table each: source_file, source_row, the columns of each label behind its name."""
    units: Sequence[Unit]
    columns: Sequence[str]
    """Of the source."""

    def page(self, name: str) -> Page:
        """The page of the rows of a spec of that name."""
        return Page(title=name, rows=self.rows(), facts={"spec": self.spec})

    def rows(self) -> list[Row]:
        """The rows of the page, in order."""
        olds = [query.label.compare_to for query in self.spec.queries if query.label.compare_to]
        origin = Origin(self.spec, self.columns, olds, room=PICTURE_BYTES // max(1, len(self.records)))
        found = [
            one
            for unit in self.units
            for one in origin.read(unit, range(unit.first_row, unit.first_row + unit.num_rows))
        ]
        return [
            _row(_plain(record), self.spec.queries, again) for record, again in zip(self.records, found, strict=True)
        ]


def _row(record: Mapping[str, object], queries: Sequence[Query], found: Found) -> Row:
    is_generated = "status" in record
    answers = []
    for query in queries:
        own = {key: record.get(column_of(query.name, key)) for key in ("prompt", "reason")}
        answer = replace(answer_of(record, query), prompt=shown(own["prompt"]), reason=str(own["reason"] or ""))
        if query.label.compare_to and is_generated:
            answer = replace(answer, old=shown(found.values.get(query.label.compare_to)))
        answers.append(answer)
    unread = [query for query in queries if record.get(column_of(query.name, "prompt_tokens")) is None]
    status = str(record["status"]) if is_generated else "rejected" if unread else ""
    reasons = [answer.reason for answer in answers if answer.reason]
    return Row(
        file=str(record["source_file"]),
        number=int(str(record["source_row"])),
        status=status,
        reason=str(record.get("reason") or next(iter(reasons), "")),
        answers=tuple(answers),
        given=found.given,
        facts=dict(_tokens(record, queries)),
        pictures=found.pictures,
        missing=found.missing,
    )


def _tokens(record: Mapping[str, object], queries: Sequence[Query]) -> Iterator[tuple[str, str]]:
    for query in queries:
        for key in ("prompt_tokens", "output_tokens", "finish_reason"):
            if (value := record.get(column_of(query.name, key))) is not None:
                yield column_of(query.name, key).replace("_", " "), str(value)


def _plain(record: Record) -> dict[str, object]:
    """Without what pandas writes for a null and has for a list."""
    lists = {str(name): value.tolist() if isinstance(value, np.ndarray) else value for name, value in record.items()}
    return {name: None if not isinstance(value, list) and value != value else value for name, value in lists.items()}
