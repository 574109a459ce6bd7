"""Small sources, and the outputs that runs over them would leave, without a run."""

import json

import pyarrow as pa
import pyarrow.parquet as pq

from relabel.data.output.binding import open_run
from relabel.data.output.recipe import fingerprint
from relabel.data.sources.planning import make_plan
from relabel.data.store.store import Store
from relabel.spec import Source
from tests.outputs import RECIPE, publish, rows_of


def labelled(folder, *, format="jsonl", image=(), but=()):
    """The store of an output over the files in `folder/source`, in units of 4 rows, whose last rows are rejects.

    `but`: parts that are not there.
    """
    source = {"path": [str(folder / "source")], "format": format}
    recipe = {**RECIPE, "source": source, "prompt": {"image": list(image)}}
    store = Store(str(folder / "out"))
    plan = make_plan(Source.model_validate(source), 4)
    open_run(store, recipe, unit_rows=4, versions={}, replan=lambda known: plan)
    for unit in plan.units:
        if unit.part not in but:
            publish(store, unit, fingerprint(recipe), rows_of(unit))
    return store


def write_lines(folder, name, rows):
    path = folder / "source" / f"{name}.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{json.dumps({'id': '', **row})}\n" for row in rows))


def write_parquet(folder, name, **columns):
    path = folder / "source" / f"{name}.parquet"
    path.parent.mkdir(exist_ok=True)
    num_rows = len(next(iter(columns.values())))
    pq.write_table(pa.table({"id": [""] * num_rows, **columns}), path)
