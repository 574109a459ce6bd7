"""What a run says of itself: small, whole, and read back as it was."""

import json

import pytest

from relabel.data.runs.beat import MOST_BYTES, MOST_ERRORS, read_beat, shortened
from relabel.rejected import Code
from tests.data.runs.beats import beat


def test_a_word_is_read_back_and_the_longest_one_is_small():
    longest = beat(
        why=shortened("y" * 10_000),
        reasons={str(code): 10**12 for code in Code},
        errors=tuple(shortened("e" * 10_000) for _ in range(MOST_ERRORS)),
        budget={"gpu_hours": 5.0, "until": "06:00Z"},
    )
    document = json.dumps(longest.to_json())
    assert read_beat(json.loads(document)) == longest
    assert len(document) < MOST_BYTES / 8


@pytest.mark.parametrize("changes", [{"state": "lost"}, {"rows": -1}, {"gpu_hours": float("nan")}, {"period": 0}])
def test_anything_else_is_none(changes):
    with pytest.raises(ValueError):
        read_beat({**beat().to_json(), **changes})


@pytest.mark.parametrize(("state", "hours"), [("running", 3.0 + 10 * 2 * 4 / 3600), ("ended", 3.0), ("failed", 3.0)])
def test_a_run_that_has_not_ended_counts_until_its_next_word(state, hours):
    said = beat(state=state, price=2.0)
    assert said.spent_hours == pytest.approx(hours)
    assert said.spent_dollars() == pytest.approx(2 * hours)
    assert beat(state=state).spent_dollars() is None
    assert beat(state=state).spent_dollars(5.0) == pytest.approx(5 * hours)
