"""When rejects among the first rows say that the spec is at fault, and the sentence that says so."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relabel.job.rejects.tally import FEWEST_LABELLED, RejectTally, by_code
from relabel.spec import make_spec

NULL, OTHER = "prompt: the column 'alt' is null", "image: truncated"


def queries(**gate):
    fields = {
        "source": {"path": "data/*.jsonl", "format": "jsonl"},
        "prompt": {"user": "{{ alt }}"},
        "model": {"path": "model"},
        "label": {"gate": gate},
        "output": {"path": "out"},
    }
    return make_spec(fields).queries


def tally(**reasons):
    """A tally of rows by reason; `ok` are those with a label."""
    found = RejectTally()
    for reason, number in reasons.items():
        found.add_rows([{"null": NULL, "image": OTHER, "ok": None}[reason]] * number)
    return found


def test_where_nearly_all_rows_are_rejected_for_one_reason_the_run_is_hopeless():
    found = tally(ok=4, image=1, null=95)
    assert found.hopeless(queries(), fewest=100) == (
        f"96 of the first 100 rows are rejected, 95 of them because of {NULL}; correct the spec or the source, or "
        "allow it by label.gate.max_rejected"
    )


@pytest.mark.parametrize(
    "found",
    [tally(null=99), tally(ok=11, null=89), tally(null=50, image=50), tally(ok=100)],
    ids=["few rows", "some labels", "two reasons", "no reject"],
)
def test_else_it_goes_on(found):
    assert found.hopeless(queries(), fewest=100) is None


def test_whoever_allows_so_many_rejects_has_them():
    found = tally(ok=5, null=295)
    assert found.hopeless(queries(max_rejected=0.98), fewest=FEWEST_LABELLED) is not None
    assert found.hopeless(queries(max_rejected=0.99), fewest=FEWEST_LABELLED) is None
    assert found.hopeless(queries(max_rejected=None), fewest=FEWEST_LABELLED) is None


def test_before_a_run_whatever_is_more_than_allowed_is_said():
    assert tally(ok=9, null=1).problem(queries()) is None
    assert tally(ok=8, null=1, image=1).problem(queries()).startswith("2 of the first 10 rows are rejected, 1 of them")
    assert tally(null=3).problem(queries(max_rejected=None)) is None
    assert RejectTally().problem(queries(max_rejected=0.0)) is None


def test_of_each_code_the_most_frequent_reason_is_an_example():
    reasons = ["parse: no JSON", "parse: empty", "parse: empty", "image: truncated"]
    assert by_code(reasons) == ({"image": 1, "parse": 3}, {"parse": "parse: empty", "image": "image: truncated"})


RECEIPTS = st.lists(
    st.tuples(st.integers(0, 300), st.dictionaries(st.sampled_from(["parse", "image", "prompt"]), st.integers(0, 300))),
    min_size=1,
    max_size=6,
)


@given(receipts=RECEIPTS, limit=st.none() | st.floats(0, 1))
def test_a_run_is_stopped_where_one_reason_has_nearly_all_rows_and_more_than_are_allowed(receipts, limit):
    """However the rows come in units, and whatever else they are rejected for."""
    found, counts, num_rows = RejectTally(), Counter(), 0
    for num_ok, reasons in receipts:
        found.add(num_ok + sum(reasons.values()), reasons, {code: f"{code}: why" for code in reasons})
        counts.update(reasons)
        num_rows += num_ok + sum(reasons.values())
    most = max(counts.values(), default=0)
    is_hopeless = (
        limit is not None and num_rows >= 256 and most > 0 and most >= 0.9 * num_rows and most > limit * num_rows
    )
    why = found.hopeless(queries(max_rejected=limit), fewest=FEWEST_LABELLED)
    assert (why is not None) == is_hopeless
    if why is not None:
        assert f"{sum(counts.values())} of the first {num_rows} rows are rejected, {most} of them because of " in why
        assert found.problem(queries(max_rejected=limit)) == why, "whoever looks before is told the same"
