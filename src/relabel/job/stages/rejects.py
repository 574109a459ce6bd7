"""The rejected rows of a published part: which are asked again, and how what came of them takes their place.

Knows the columns of a part; nothing of prompts, engines or Ray.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pyarrow as pa

from relabel.data.sources.unit import Unit
from relabel.data.store.stamp import Stamp
from relabel.data.store.store import Part, Store
from relabel.errors import PartDamaged
from relabel.job.job import Job, Retry
from relabel.job.stages.output_rows import row_status
from relabel.spec import Query
from relabel.spec.section import column_of

Draws = Mapping[str, Sequence[int | None]]
"""By label: the draw that each row of a unit goes on with; None for a row that is not asked again."""
NOT_ASKED = "not asked again"


def read_draws(unit: Unit, job: Job, retry: Retry) -> Draws:
    """What is asked again of a unit. Raises PartDamaged where its part is not there or cannot be read."""
    part = _read(Store(job.output, create=False), unit, job).rows
    draws: dict[str, Sequence[int | None]] = {}
    for query in job.spec.queries:
        reasons = part[column_of(query.name, "reason")].to_pylist()
        numbers = zip(reasons, _next_draws(part, query), strict=True)
        draws[query.name] = [number if retry.wants(reason or "") else None for reason, number in numbers]
    return draws


def limited(reasons: Sequence[str | None], draws: Draws) -> list[str | None]:
    """Why each row is not encoded: as it was read, and where no label of it is asked again."""
    asked = [any(number is not None for number in row) for row in zip(*draws.values(), strict=True)]
    return [reason if is_asked else NOT_ASKED for reason, is_asked in zip(reasons, asked, strict=True)]


def replace_rejects(
    unit: Unit, new: pa.Table, draws: Draws, job: Job, store: Store, stamp: Callable[[pa.Table], Stamp]
) -> tuple[int, int]:
    """Publish the part once more with what came of its rejects, stamped anew.

    Returns how many rows were asked again, and how many of these have a label now.

    Merged with the part as it is now, again where it was replaced meanwhile: a row that another retry was faster with
    is left as that one made it.
    Raises PartDamaged where the part is gone or is no longer that of the unit.
    """
    while True:
        old = _read(store, unit, job)
        table = merged(old.rows, new, job.spec.queries, draws)
        if table.equals(old.rows) or store.replace(unit.part, table, stamp(table).to_json(), old.version):
            break
    asked = [any(number is not None for number in row) for row in zip(*draws.values(), strict=True)]
    statuses = [status for status, is_asked in zip(table["status"].to_pylist(), asked, strict=True) if is_asked]
    return len(statuses), statuses.count("ok")


def merged(old: pa.Table, new: pa.Table, queries: Sequence[Query], draws: Draws) -> pa.Table:
    """The rows of a part with the labels that were asked again replaced, in the order and schema of `new`.

    Attempts and tokens count on. A label is replaced only where it is still the reject that was asked again.
    """
    columns = {name: old[name] for name in old.column_names}
    for query in queries:
        pairs = zip(draws[query.name], _next_draws(old, query), strict=True)
        takes = [number is not None and number == now for number, now in pairs]
        for name in old.column_names:
            if name in _columns_of(query):
                columns[name] = _chosen(takes, new[name], old[name])
        for name in (column_of(query.name, key) for key in ("attempts", "output_tokens")):
            columns[name] = _chosen(takes, _sums(old[name], new[name]), old[name])
    if any(query.name for query in queries):
        columns["status"], columns["reason"] = map(pa.array, row_status(queries, [pa.table(columns)] * len(queries)))
    return pa.table([columns[name] for name in new.column_names], schema=new.schema)


def _read(store: Store, unit: Unit, job: Job) -> Part:
    part = store.read(unit.part)
    if not part.stamp.is_of(unit, job.fingerprint):
        raise PartDamaged(f"{store.url}/{unit.part} was made from something else meanwhile")
    if not part.rows.schema.equals(job.schema):
        raise PartDamaged(f"{store.url}/{unit.part} has other columns than this version of relabel writes")
    return part


def _next_draws(part: pa.Table, query: Query) -> list[int | None]:
    """How often each row without this label was generated, over all samples: no sample came to that draw. Else None."""
    statuses = part[column_of(query.name, "status")].to_pylist()
    attempts = part[column_of(query.name, "attempts")].to_pylist()
    return [(count or 0) if status == "rejected" else None for status, count in zip(statuses, attempts, strict=True)]


def _columns_of(query: Query) -> set[str]:
    """All columns of one label, its status and reason among them."""
    return {column_of(query.name, key) for key in (*query.columns, "status", "reason")}


def _chosen(takes: Sequence[bool], one: pa.ChunkedArray, other: pa.ChunkedArray) -> pa.ChunkedArray:
    """Each row of `one` that is taken, else of `other`."""
    both = pa.chunked_array([*other.chunks, *one.chunks], type=other.type)
    return both.take(pa.array([at + len(takes) * is_taken for at, is_taken in enumerate(takes)]))


def _sums(one: pa.ChunkedArray, other: pa.ChunkedArray) -> pa.ChunkedArray:
    """Null where both are."""
    pairs = zip(one.to_pylist(), other.to_pylist(), strict=True)
    return pa.chunked_array([pa.array([None if a is b is None else (a or 0) + (b or 0) for a, b in pairs], one.type)])
