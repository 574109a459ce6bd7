"""The rows of a complete output, committed to its table: one commit for each state of the output, whoever is killed.

The table is asked what is in it, and told by the commit itself: no other place says what was committed.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator

import pyarrow as pa

from relabel.data.exports.published import published_rows
from relabel.data.output.manifest import SUCCESS, Run, run_of
from relabel.data.sources.files import absolute
from relabel.data.store.failpoints import Failpoint, pass_by
from relabel.data.store.fault import first_fault
from relabel.data.store.store import Store
from relabel.data.tables.table import Mark, Table
from relabel.errors import Refused, SpecError, StoreFailed
from relabel.spec.running.table import Table as TableSection

NOTE = "_table.json"
"""The table of the newest run, for whoever has no spec: a retry."""
COMMIT = "output.table"
"""What failpoints call the commit."""
MOST_TRIES = 20
"""Each reads all rows again: whoever writes the table that often is no run of this recipe."""

log = logging.getLogger("relabel")


def open_table(section: TableSection) -> Table:
    """The table that a spec names. Raises SpecError where its package is not installed."""
    try:
        if section.format == "iceberg":
            from relabel.data.tables.iceberg import Iceberg

            return Iceberg(section.catalog, section.name or "")
        path = absolute(section.path or "")
        if section.format == "delta":
            from relabel.data.tables.delta import Delta

            return Delta(path)
        from relabel.data.tables.lance import Lance

        return Lance(path)
    except ImportError as error:
        raise SpecError(
            f"output.table.format {section.format}: its package is not installed: "
            f"pip install 'ray-relabel[{section.format}]'"
        ) from error


def take_table(section: TableSection | None, store: Store, fingerprint: str, schema: pa.Schema) -> None:
    """Before a run whose parts have this schema: note its table for a retry.

    Raises Refused where the table is another's, cannot be reached, or has no type for a column.
    """
    if section is None:
        if store.version(NOTE) is not None:
            store.delete(NOTE)
        return
    table = open_table(section)
    table.check(schema)
    _refuse_others(table, fingerprint)
    note = section.model_copy(update={"path": section.path and absolute(section.path)}).model_dump(exclude_unset=True)
    if store.read_json(NOTE) != note:
        store.put_json(NOTE, note)


def noted_table(store: Store) -> TableSection | None:
    """The table of the newest run, if that has one. Raises Refused where the note is not sound."""
    note = store.read_json(NOTE)
    try:
        return None if note is None else TableSection.model_validate(note)
    except ValueError as error:
        raise Refused(f"{store.url}/{NOTE} is not what this version writes: {first_fault(error)}") from error


def commit_table(section: TableSection | None, store: Store) -> None:
    """Commit the rows of an output that is complete, if there is to be a table and that has not these rows yet.

    All rows are replaced by one commit, part by part read. Where that takes place, `_SUCCESS` is deleted before.
    Raises Refused or StoreFailed; the parts stay, and the next run commits them.
    """
    if section is None:
        return
    table = open_table(section)
    for _ in range(MOST_TRIES):
        run = run_of(store)
        mark = Mark.of(run.fingerprint, _digest(store, run))
        if _refuse_others(table, run.fingerprint) == mark:
            return
        store.delete(SUCCESS)
        pass_by(Failpoint.SENDING, COMMIT)
        if table.replace(pa.RecordBatchReader.from_batches(run.schema, _batches(store, run)), mark):
            pass_by(Failpoint.DONE, COMMIT)
            log.info("the table %s has all rows now", table.where)
            return
    raise StoreFailed(f"others commit to {table.where} again and again; run the same command once they have ended")


def _refuse_others(table: Table, fingerprint: str) -> Mark | None:
    mark = table.look()
    if mark is not None and mark.output != Mark.of(fingerprint, "").output:
        raise Refused(f"output.table {table.where} holds the rows of another recipe: name another table")
    return mark


def _digest(store: Store, run: Run) -> str:
    """Of all parts that are rows of the output, each as it is now."""
    planned = {unit.part for unit in run.plan.units}
    parts = {part: listed.e_tag for part, listed in store.parts().items() if part in planned}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _batches(store: Store, run: Run) -> Iterator[pa.RecordBatch]:
    for unit in run.plan.units:
        rows = published_rows(store, run, unit)
        if rows is not None:
            yield from rows.to_batches()
        elif unit.file.state != "gone":
            raise OSError(f"the part {unit.part} is gone or damaged since it was counted")
