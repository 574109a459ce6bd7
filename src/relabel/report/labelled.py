"""An output row and what its source has of it, as the row that a page shows. Knows the columns of an output."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from relabel.report.origin import Found
from relabel.report.row import Answer, Row, shown
from relabel.report.sample import Drawn
from relabel.spec import Query
from relabel.spec.section import column_of

_FACTS = ("prompt_tokens", "output_tokens", "attempts", "finish_reason", "logprob", "agreement")


def labelled(
    one: Drawn, queries: Sequence[Query], keep: Sequence[str], found: Found, olds: Mapping[str, str | None]
) -> Row:
    """The row of the page. `olds` has the old column of each label by name."""
    record, answers = one.record, list[Answer]()
    for query in queries:
        answer = answer_of(record, query, one.flaws[query.name])
        column = olds[query.name]
        old = None if column is None else shown(found.values.get(column, record.get(column)))
        text = one.measured[query.name].text
        if old is not None and text is not None and " ".join(old.split()) == " ".join(text.split()):
            answer = replace(answer, flaws=(*answer.flaws, "unchanged"))
        answers.append(replace(answer, old=old if query.label.json_schema is None else _laid_out(old)))
    return Row(
        file=str(record["source_file"]),
        number=one.number,
        status=str(record["status"]),
        reason=str(record["reason"] or ""),
        answers=tuple(answers),
        given=found.given,
        kept={name: shown(record[name]) or "" for name in keep},
        facts=dict(_facts(record, queries)),
        pictures=found.pictures,
        missing=found.missing,
    )


def answer_of(record: Mapping[str, object], query: Query, flaws: Sequence[str] = ()) -> Answer:
    """What an output row has of one label."""
    own = {key: record.get(column_of(query.name, key)) for key in ("status", "reason", "text", "reasoning")}
    is_ok = own["status"] == "ok"
    return Answer(
        name=query.name,
        reason=str(own["reason"] or ""),
        label=_label(record, query) if is_ok else None,
        texts=tuple(_texts(own["text"])),
        reasoning=tuple(_texts(own["reasoning"])),
        flaws=tuple(flaws),
    )


def _label(record: Mapping[str, object], query: Query) -> str | None:
    """The label alone; of a schema or of named groups an object of its columns; of samples with labels of their own
    one below the other."""
    columns = query.label.columns
    values = {column: record.get(column_of(query.name, column)) for column in columns}
    if query.label.json_schema is not None or len(columns) > 1:
        return shown(values)
    value = values[columns[0]]
    if isinstance(value, list) and query.sampling.num_samples > 1:
        return "\n".join(f"{number}. {shown(one) or '-'}" for number, one in enumerate(value, 1))
    return shown(value)


def _laid_out(text: str | None) -> str | None:
    """An old label of JSON as a new one is shown, so that only what differs is marked."""
    try:
        return text and shown(json.loads(text))
    except (ValueError, RecursionError):
        return text


def _texts(value: object) -> Iterator[str]:
    yield from (text for one in (value if isinstance(value, list) else [value]) if (text := shown(one)) is not None)


def _facts(record: Mapping[str, object], queries: Sequence[Query]) -> Iterator[tuple[str, str]]:
    for query in queries:
        for key in _FACTS:
            value = record.get(column_of(query.name, key))
            if value is not None:
                yield column_of(query.name, key).replace("_", " "), _fact(value)


def _fact(value: object) -> str:
    if isinstance(value, list):
        return ", ".join("-" if one is None else _fact(one) for one in value)
    return f"{value:.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
