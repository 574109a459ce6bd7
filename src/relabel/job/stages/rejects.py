"""The rejected rows of a published part: which are asked again, and how what came of them takes their place.

Knows the columns of a part; nothing of prompts, engines or Ray.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce

import pyarrow as pa
from pyarrow.compute import call_function as compute

from relabel.data.sources.unit import Unit
from relabel.data.store.stamp import Stamp
from relabel.data.store.store import Part, Store
from relabel.errors import PartDamaged
from relabel.job.job import Job, Retry
from relabel.job.stages.output_rows import row_status
from relabel.spec import Query
from relabel.spec.section import column_of

Draws = Mapping[str, pa.Array]
"""By label: the draw that each row of a unit goes on with; null for a row that is not asked again."""
NOT_ASKED = "not asked again"


def read_draws(unit: Unit, job: Job, retry: Retry) -> Draws:
    """What is asked again of a unit. Raises PartDamaged where its part is not there or cannot be read."""
    part = _read(Store(job.output, create=False), unit, job).rows
    draws: dict[str, pa.Array] = {}
    for query in job.spec.queries:
        reasons = part[column_of(query.name, "reason")].to_pylist()
        wanted = pa.array([retry.wants(reason or "") for reason in reasons])
        draws[query.name] = compute("if_else", [wanted, _next_draws(part, query), None])
    return draws


def limited(reasons: Sequence[str | None], draws: Draws) -> list[str | None]:
    """Why each row is not encoded: as it was read, and where no label of it is asked again."""
    return compute("if_else", [_asked(draws), pa.array(reasons, pa.string()), NOT_ASKED]).to_pylist()


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
    statuses = table["status"].filter(_asked(draws)).to_pylist()
    return len(statuses), statuses.count("ok")


def merged(old: pa.Table, new: pa.Table, queries: Sequence[Query], draws: Draws) -> pa.Table:
    """The rows of a part with the labels that were asked again replaced, in the order and schema of `new`.

    Attempts and tokens count on. A label is replaced only where it is still the reject that was asked again.
    """
    columns = {name: old[name] for name in old.column_names}
    for query in queries:
        takes = compute("equal", [draws[query.name], _next_draws(old, query)]).fill_null(False)
        for name in old.column_names:
            if name in _columns_of(query):
                columns[name] = compute("if_else", [takes, new[name], old[name]])
        for name in (column_of(query.name, key) for key in ("attempts", "output_tokens")):
            columns[name] = compute("if_else", [takes, _sums(old[name], new[name]), old[name]])
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


def _asked(draws: Draws) -> pa.Array:
    """Which rows are asked again for any label."""
    return reduce(lambda one, other: compute("or", [one, other]), [numbers.is_valid() for numbers in draws.values()])


def _next_draws(part: pa.Table, query: Query) -> pa.Array:
    """How often each row without this label was generated, over all samples: no sample came to that draw. Else null."""
    is_rejected = compute("equal", [part[column_of(query.name, "status")], "rejected"])
    draws = compute("if_else", [is_rejected, part[column_of(query.name, "attempts")].fill_null(0), None])
    return draws.combine_chunks()


def _columns_of(query: Query) -> set[str]:
    """All columns of one label, its status and reason among them."""
    return {column_of(query.name, key) for key in (*query.columns, "status", "reason")}


def _sums(one: pa.ChunkedArray, other: pa.ChunkedArray) -> pa.ChunkedArray:
    """Null where both are."""
    is_known = compute("or", [one.is_valid(), other.is_valid()])
    return compute("if_else", [is_known, compute("add", [one.fill_null(0), other.fill_null(0)]), None])
