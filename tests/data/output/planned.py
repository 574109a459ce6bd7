"""A plan of two files, how a run over it is begun, and rows that are not as they should be."""

import pyarrow as pa

from relabel.data.output.binding import open_run
from relabel.data.output.recipe import fingerprint
from relabel.data.sources.plan import Plan
from relabel.data.store.store import Store
from tests.outputs import RECIPE, make_plan, planned_file

A, B = planned_file("a.parquet", 10), planned_file("b.parquet", 3)
PLAN = make_plan(A, B)
PARTS = [unit.part for unit in PLAN.units]
MINE = fingerprint(RECIPE)
UNIT = A.units[1]


def begin_plan(store: Store, plan: Plan) -> Plan:
    """Begin a run over this plan: what it goes by."""
    return open_run(store, RECIPE, unit_rows=4, versions={}, replan=lambda known: plan).plan


def with_column(rows: pa.Table, name: str, values: list) -> pa.Table:
    at = rows.schema.get_field_index(name)
    return rows.set_column(at, rows.schema.field(at), pa.array(values, rows.schema.field(at).type))
