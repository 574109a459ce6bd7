"""The card of a dataset shows rows of whatever types as JSON."""

import datetime
import decimal
import json

import pyarrow as pa
import pytest

from relabel import make_spec, run
from relabel.data.hub.card import MAX_TEXT, card_of
from relabel.data.output.audit import audit
from relabel.data.output.manifest import run_of
from relabel.data.store.store import Store
from relabel.job.local import InProcess


@pytest.fixture
def card(fields, tmp_path):
    """Makes the card of a small run with some rows."""
    assert run(make_spec(fields), execute=InProcess()).complete
    store = Store(str(tmp_path / "out"), create=False)
    known = run_of(store)
    report = audit(known.plan, store, known.fingerprint, {})
    return lambda rows: card_of(known, report, rows, name="labels", license=None)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (datetime.datetime(2026, 1, 2, 3), "2026-01-02 03:00:00"),
        (datetime.date(2026, 1, 2), "2026-01-02"),
        (decimal.Decimal("1.50"), "1.50"),
        (float("nan"), "nan"),
        (b"abc", "3 bytes"),
        ({"bytes": b"abc", "path": None}, {"bytes": "3 bytes", "path": None}),
        ([1, 2.5, True, None], [1, 2.5, True, None]),
        ("x" * 1000, "x" * MAX_TEXT + " ..."),
        ({"inner": ["x" * 1000]}, {"inner": ["x" * MAX_TEXT + " ..."]}),
    ],
)
def test_a_value_of_any_type_is_shown(card, value, shown):
    [line] = [line for line in card([{"value": value}]).splitlines() if line.startswith('{"value"')]
    assert json.loads(line) == {"value": shown}


def test_what_arrow_gives_for_nanoseconds_is_shown(card):
    [row] = pa.table({"when": pa.array([1], pa.timestamp("ns"))}).to_pylist()
    assert "1970-01-01" in card([row])
