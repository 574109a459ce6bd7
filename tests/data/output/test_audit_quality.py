"""What an audit says of the labels' quality, and of the limits of the gate."""

from relabel.data.output.audit import audit, conclude
from relabel.data.output.binding import open_run
from relabel.data.output.recipe import fingerprint
from relabel.data.quality.measure import measure
from relabel.data.quality.merge import merge
from relabel.data.store.store import Store
from relabel.spec import Gate
from tests.outputs import RECIPE, make_plan, planned_file, publish

PLAN = make_plan(planned_file("a.parquet", 10), planned_file("b.parquet", 3))
MINE = fingerprint(RECIPE)
LOOP = "round and " * 20


def labels_of(unit):
    """Of each row one label; the first of a unit loops."""
    texts = [LOOP, *(f"label {row}" for row in range(1, unit.num_rows))]
    rows = range(unit.first_row, unit.first_row + unit.num_rows)
    return measure(texts, ["stop"] * unit.num_rows, rows)


def measured(url, plan=PLAN):
    """An output of which each unit has a label that loops: 4 of 13 in PLAN."""
    store = Store(str(url))
    run = open_run(store, RECIPE, unit_rows=4, versions={}, replan=lambda known: plan)
    for unit in run.plan.units:
        publish(store, unit, MINE, quality={"": labels_of(unit)})
    return store


def test_an_audit_knows_the_quality_of_the_whole_run(tmp_path):
    report = audit(PLAN, measured(tmp_path), MINE)
    quality = report.quality[""]
    assert (quality.num_labels, quality.repeated, quality.duplicates) == (13, 4, 9)
    assert quality.examples["repeated"] == (("a.parquet", 0), ("a.parquet", 4), ("a.parquet", 8))
    assert report.to_json()["quality"][""]["rates"]["repeated"] == round(4 / 13, 6)
    assert (report.passed, report.exceeded) == (True, ()), "without a gate nothing is beyond it"


def test_beyond_a_limit_there_is_no_success_until_the_limit_is_another(tmp_path):
    store = measured(tmp_path)
    conclude(PLAN, store, MINE)
    strict = conclude(PLAN, store, MINE, {"": Gate(max_rejected=None, max_repeated=0.01)})
    assert (strict.complete, strict.passed) == (True, False)
    assert strict.problems == [
        "30.8 % of the labels repeat themselves, the limit is label.gate.max_repeated 1.0 %: "
        "for example a.parquet row 0, a.parquet row 4, a.parquet row 8"
    ]
    assert store.read_json("_SUCCESS") is None
    mild = conclude(PLAN, store, MINE, {"": Gate(max_rejected=None, max_repeated=0.5)})
    assert mild.passed
    assert store.read_json("_SUCCESS") == {"fingerprint": MINE, **mild.to_json()}


def test_the_rejects_of_the_run_have_a_limit_too(tmp_path):
    report = conclude(PLAN, measured(tmp_path), MINE, {"": Gate(max_rejected=0.3)})
    assert report.exceeded == ("30.8 % of the rows have no label, the limit is label.gate.max_rejected 30.0 %",)


def test_only_parts_that_count_are_measured(tmp_path):
    store = measured(tmp_path)
    (tmp_path / "b-00000.parquet").unlink()
    unit = next(unit for unit in PLAN.units if unit.part == "b-00000.parquet")
    publish(store, unit, "another recipe", quality={"": labels_of(unit)})
    assert audit(PLAN, store, MINE).quality[""].num_labels == 10


def test_qualities_are_merged_while_stamps_are_read(tmp_path):
    """As with 50,000 parts, whose qualities are more than the driver should hold: some hundred are merged at a time."""
    plan = make_plan(planned_file("a.parquet", 300, unit_rows=1))
    expected = merge(labels_of(unit).in_file(unit.file.path) for unit in plan.units)
    assert audit(plan, measured(tmp_path, plan), MINE).quality == {"": expected}


def test_no_text_is_in_a_report_or_a_stamp(tmp_path):
    store = measured(tmp_path)
    report = conclude(PLAN, store, MINE, {"": Gate(max_repeated=0)})
    assert "round" not in repr(report)
    assert "round" not in repr(report.to_json())
    assert b"round" not in (tmp_path / "a-00000.parquet").read_bytes()
