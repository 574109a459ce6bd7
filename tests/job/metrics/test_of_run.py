from dataclasses import replace

import pytest

from relabel.data.runs.beat import Beat, Engines
from relabel.engine import Goodput
from relabel.job.metrics import table
from relabel.job.metrics.of_run import samples_of_run
from relabel.job.metrics.seen import Seen
from relabel.job.progress.engines import EnginesSeen
from relabel.job.receipt import EngineReport, Waited

BEAT = Beat(
    run="r",
    command="run",
    version="1",
    host="h",
    pid=1,
    started=0.0,
    said=0.0,
    state="running",
    num_units=10,
    num_rows=100,
    engines=Engines(name="relabel", up=1, planned=2),
)
DONE = replace(BEAT, units=4, failed=1, rows=40, ok=37, rejected=3, reasons={"parse": 3}, output_tokens=90)


def values(beat=BEAT, *, model="org/model", engines=None, seen=None):
    samples = samples_of_run(beat, model, 200, engines or EnginesSeen(), seen or Seen())
    found = {(one.metric, *one.labels): one.value for one in samples}
    assert len(found) == len(samples), "no series is there twice"
    return found


def test_every_series_of_the_driver_is_there_before_anything_has_happened():
    beat = replace(BEAT, price=2.0, seconds_left=9.0)
    of_driver = {one for one in table.METRICS if not one.is_of_engine}
    fixed = {(one, *labels) for one in of_driver - {table.INFO} for labels in one.series()}
    assert values(beat).keys() == fixed | {(table.INFO, "run", "relabel", "model")}


def test_what_is_not_known_is_absent():
    assert {table.LEFT_SECONDS, table.DOLLARS}.isdisjoint(series[0] for series in values())


def test_receipts_are_counted():
    found = values(DONE)
    assert (found[table.ROWS, "ok"], found[table.ROWS, "rejected"]) == (37, 3)
    assert (found[table.REJECTED_ROWS, "parse"], found[table.REJECTED_ROWS, "image"]) == (3, 0)
    assert (found[table.UNITS, "done"], found[table.UNITS, "failed"], found[table.UNITS_LEFT,]) == (4, 1, 5)
    assert (found[table.ROWS_LEFT,], found[table.ROWS_PLANNED,]) == (60, 100)
    assert (found[table.ROW_TOKENS, "prompt"], found[table.ROW_TOKENS, "output"]) == (200, 90)


def test_what_was_spent_is_that_of_budgets():
    found = values(replace(DONE, gpu_hours=0.5, price=3.0))
    assert (found[table.GPU_SECONDS,], found[table.DOLLARS,]) == (1800, 1.5)


def test_engines_are_added_up_by_the_last_word_of_each():
    engines = EnginesSeen()
    for process, seconds in (("a", 10.0), ("b", 20.0), ("b", 30.0)):
        goodput = Goodput(useful_tokens=5, wasted_tokens=1, num_batches=int(seconds))
        waited = Waited(seconds=seconds, loading=1.0, reading=2.0, publishing=3.0)
        engines.hear(EngineReport(process=process, batching={}, goodput=goodput, waited=waited), seconds)
    found = values(engines=engines)
    states = {state: found[table.ENGINE_SECONDS, state] for state in ("working", "loading", "reading", "publishing")}
    assert states == {"working": 28.0, "loading": 2.0, "reading": 4.0, "publishing": 6.0}
    assert (found[table.COMPUTED_TOKENS, "useful"], found[table.COMPUTED_TOKENS, "wasted"]) == (10, 2)


def test_units_and_deaths_are_by_stage_and_copies_by_what_became_of_them():
    seen = Seen(
        under_way={("generating", "working"): 2}, deaths={("generating", "device"): 1}, copies={"begun": 3, "first": 2}
    )
    found = values(DONE, seen=seen)
    assert found[table.UNITS_UNDER_WAY, "generating", "working"] == 2
    assert found[table.UNITS_UNDER_WAY, "reading", "waiting"] == 3, "of five that are left"
    assert found[table.DEATHS, "generating", "device"] == 1
    assert found[table.DEATHS, "generating", "other"] == 0
    assert (found[table.COPIES, "begun"], found[table.COPIES, "first"]) == (3, 2)


@pytest.mark.parametrize(
    ("path", "named"), [("/models/qwen/", "qwen"), ("org/name", "name"), ("x" * 99, "x" * 40), ("name", "name")]
)
def test_a_model_is_named_by_its_last_part(path, named):
    assert (table.INFO, "run", "relabel", named) in values(model=path)
