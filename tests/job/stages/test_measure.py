"""Which text of a row is measured: its label, of several samples one that has a label."""

from relabel.job.stages.measure import measure_labels
from relabel.job.stages.output_rows import label_table
from tests.job.stages.test_output_rows import CHOICE, asked, bad, good, query_of

REFUSAL = "I cannot help with that."
JSON = {"parse": "json", "json_schema": {"type": "object", "properties": {"n": {"type": "integer"}}}}


def figures_of(query, *rows, old=None):
    return measure_labels([query], label_table(query, rows), 0, {"": old} if old else {})[""]


def test_a_label_is_measured_and_a_reject_is_not():
    quality = figures_of(query_of(), asked(good(REFUSAL)), asked(bad(REFUSAL)), old=["x", "y"])
    assert (quality.num_labels, quality.refused, quality.compared, quality.changed) == (1, 1, 1, 1)


def test_a_row_for_which_nothing_was_written_is_counted():
    quality = figures_of(query_of(), asked(good("a")), asked(bad("", "parse: the model wrote nothing")))
    assert quality.rates()["empty"] == 0.5


def test_of_samples_the_first_with_a_label_is_measured():
    for query in (query_of(3, **JSON), query_of(3)):
        values = {"n": 1} if query.label.json_schema else None
        quality = figures_of(query, asked(bad(REFUSAL), good('{"n": 1}', values), good('{"n": 2}', values)))
        assert (quality.num_labels, quality.refused) == (1, 0)


def test_a_vote_is_measured_by_its_winner():
    assert figures_of(query_of(2, **CHOICE, vote=True), asked(bad(REFUSAL), good("a"))).refused == 0
