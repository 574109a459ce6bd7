"""Outputs with rows of one's own choice: a source in JSON lines, the recipe of a spec, and parts as a run publishes
them, without a model."""

import json

import pyarrow as pa

from relabel import make_spec
from relabel.data.labels.columns import labels_of
from relabel.data.output.binding import open_run
from relabel.data.output.manifest import write_gates
from relabel.data.output.recipe import make_recipe
from relabel.data.quality.measure import measure
from relabel.data.sources.planning import make_plan
from relabel.data.store.store import Store
from relabel.spec.section import column_of
from tests.outputs import publish

FIELDS = {
    "prompt": {"user": "Clean up: {{ alt }}"},
    "model": {"path": "models/small"},
    "label": {"column": "caption", "compare_to": "alt"},
}
LABELLED = {"status": "ok", "finish_reason": "stop", "prompt_tokens": 7, "output_tokens": 3, "attempts": 1}


def label(text, /, **columns):
    """The columns of a row whose single label is a text."""
    return {"caption": text, "text": f" {text}", **LABELLED, **columns}


def reject(reason, text=None):
    return {"status": "rejected", "reason": reason, "text": text, "prompt_tokens": 7}


def write_output(folder, source, labels, fields=FIELDS, *, url=None, unit_rows=2, without=()):
    """An output with these rows of the source and these columns of their labels: its URL.

    Parts of the units in `without` are not there, as where a run is at work.
    """
    folder.mkdir(exist_ok=True)
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in source))
    url = url or str(folder / "out")
    sections = {"source": {"path": str(folder / "rows.jsonl"), "format": "jsonl", "unit_rows": unit_rows}}
    spec = make_spec({**sections, **fields, "output": {"path": url, **fields.get("output", {})}})
    store, plan = Store(url), make_plan(spec.source, unit_rows)
    run = open_run(
        store, make_recipe(spec, {"sha256": "0"}), unit_rows=unit_rows, versions={}, replan=lambda known: plan
    )
    write_gates(store, {query.name: query.label.gate for query in spec.queries})
    for unit in plan.units:
        numbers = range(unit.first_row, unit.first_row + unit.num_rows)
        places = [{"source_file": unit.file.path, "source_row": number} for number in numbers]
        kept = [{name: source[number].get(name) for name in spec.output.keep} for number in numbers]
        rows = [place | own | labels[place["source_row"]] for place, own in zip(places, kept, strict=True)]
        table = pa.Table.from_pylist(rows, run.schema)
        quality = {name: _quality(name, table, unit) for name in labels_of(run.recipe)}
        if unit.index not in without:
            publish(store, unit, run.fingerprint, table, quality)
    return url


def _quality(name, table, unit):
    texts, ends, reasons = (table[column_of(name, key)].to_pylist() for key in ("text", "finish_reason", "reason"))
    one = [
        None if isinstance(text, list) or status != "ok" else text
        for text, status in zip(texts, table["status"].to_pylist(), strict=True)
    ]
    return measure(one, ends, range(unit.first_row, unit.first_row + unit.num_rows), None, reasons)
