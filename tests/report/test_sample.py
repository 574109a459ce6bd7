"""Which parts are read and which rows are shown, however many there are."""

from relabel.data.output.manifest import run_of
from relabel.data.output.recipe import fields_of
from relabel.data.store.store import Store
from relabel.report.sample import MOST_ROWS, NUM_PARTS, Fewest, draw
from relabel.spec import make_spec
from tests.report.outputs import label, reject, write_output


def test_the_fewest_are_those_of_the_lowest_ranks_in_order():
    fewest = Fewest(3)
    for rank in (5, 3, 9, 1, 7, 2):
        fewest.add(rank, str(rank))
    assert list(fewest) == ["1", "2", "3"]


def test_of_many_parts_few_are_read_and_the_one_with_a_reject_is_among_them(tmp_path):
    """Of 100 parts 32 are drawn; the one that holds the only reject is read besides, whichever it is."""
    labels = [label(f"number {row}") for row in range(100)]
    for at in (17, 61):
        labels[at] = reject("image: truncated" if at == 17 else "parse: empty")
    url = write_output(tmp_path, [{"alt": "x"}] * 100, labels, unit_rows=1)
    store = Store(url, create=False)
    run = run_of(store)
    spec = make_spec(fields_of(run.recipe, {}, url))
    for seed in range(3):
        sample = draw(store, run, spec.queries, {}, 10, seed)
        assert NUM_PARTS <= sample.num_parts <= NUM_PARTS + 2
        assert {one.number for one in sample.rows} >= {17, 61}
        assert len(sample.rows) == 10
        assert len(sample.lengths["output tokens"]) <= NUM_PARTS, "lengths are of the parts that were drawn of all"


def test_of_a_large_part_some_rows_are_looked_at_and_its_rejects(tmp_path):
    labels = [label(f"number {row}") for row in range(MOST_ROWS + 1000)]
    labels[11] = labels[MOST_ROWS + 500] = reject("parse: empty")
    url = write_output(tmp_path, [{"alt": "x"}] * len(labels), labels, unit_rows=len(labels))
    store = Store(url, create=False)
    run = run_of(store)
    sample = draw(store, run, make_spec(fields_of(run.recipe, {}, url)).queries, {}, 6, 0)
    assert {11, MOST_ROWS + 500} <= {one.number for one in sample.rows}
    assert MOST_ROWS - 2 <= len(sample.lengths["output tokens"]) <= MOST_ROWS
