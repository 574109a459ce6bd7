"""Which text of a row is measured: its label, of several samples the one that was chosen."""

from relabel.job.stages.measure import measure_labels, measured_outcome, measured_rows
from relabel.job.stages.output_rows import label_table
from tests.job.stages.test_output_rows import CHOICE, bad, good, outcome, query_of

REFUSAL = "I cannot help with that."
JSON = {"parse": "json", "json_schema": {"type": "object", "properties": {"n": {"type": "integer"}}}}


def figures_of(query, *rows, old=None):
    """Of rows, each given by the answers of its samples: as they are made, and as they are read from a part."""
    outcomes = [outcome(query, *answers) for answers in rows]
    fresh = [measured_outcome(query.label, one) for one in outcomes]
    quality, again = (
        measure_labels({"": measured}, 0, {"": old} if old else {})[""]
        for measured in (fresh, measured_rows(query, label_table(query, outcomes)))
    )
    assert again == quality, "a retry measures the rows that it leaves alone once more"
    return quality


def test_a_label_is_measured_and_a_reject_is_not():
    quality = figures_of(query_of(), [good(REFUSAL)], [bad(REFUSAL)], old=["x", "y"])
    assert (quality.num_labels, quality.refused, quality.compared, quality.changed) == (1, 1, 1, 1)


def test_a_row_for_which_nothing_was_written_is_counted():
    assert figures_of(query_of(), [good("a")], [bad("", "parse: the model wrote nothing")]).rates()["empty"] == 0.5


def test_of_samples_the_first_with_a_label_is_measured():
    for query in (query_of(3, **JSON), query_of(3)):
        values = {"n": 1} if query.label.json_schema else None
        quality = figures_of(query, [bad(REFUSAL), good('{"n": 1}', values), good('{"n": 2}', values)])
        assert (quality.num_labels, quality.refused) == (1, 0)


def test_a_vote_is_measured_by_its_winner():
    assert figures_of(query_of(2, **CHOICE, vote=True), [bad(REFUSAL), good("a")]).refused == 0


def test_a_vote_over_json_is_measured_by_the_text_of_its_winner():
    """The first text that ended by itself was measured, which may be a reject or have lost."""
    query = query_of(4, **JSON, vote=True)
    answers = [bad(REFUSAL), good('{"n": 1}', {"n": 1}), good('{"n":   22}', {"n": 22}), good('{"n": 22}', {"n": 22})]
    quality = figures_of(query, answers, old=['{"n": 22}'])
    assert (quality.num_labels, quality.refused, quality.changed) == (1, 0, 0)
