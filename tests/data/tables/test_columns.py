"""Which columns a table takes is known before a run, and is what its library then writes."""

import datetime
import decimal

import pyarrow as pa
import pytest

from relabel.data.store.store import Store
from relabel.data.tables.commit import NOTE, open_table, take_table
from relabel.data.tables.table import Mark
from relabel.errors import Refused, StoreFailed
from tests.data.tables.place import FORMATS, Place
from tests.outputs import SCHEMA

TIME = datetime.datetime(2024, 1, 1)
COLUMNS = {
    "halves": pa.array([1.0]).cast(pa.float16()),
    "days": pa.array([TIME], pa.date64()),
    "seconds": pa.array([TIME], pa.timestamp("s")),
    "nanoseconds": pa.array([TIME], pa.timestamp("ns")),
    "of a zone": pa.array([TIME], pa.timestamp("us", "Europe/Berlin")),
    "times in seconds": pa.array([1], pa.time32("s")),
    "times": pa.array([1], pa.time64("us")),
    "durations": pa.array([1], pa.duration("us")),
    "long decimals": pa.array([decimal.Decimal(1)], pa.decimal256(40, 2)),
    "nothing": pa.nulls(1),
    "lists of times": pa.array([[1]], pa.list_(pa.time32("s"))),
    "categories": pa.array(["a"]).dictionary_encode(),
    "maps": pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())),
    "a.b": pa.array(["a"]),
}
REFUSED = {
    "delta": {"halves", "times in seconds", "times", "durations", "long decimals", "lists of times"},
    "iceberg": {"days", "nanoseconds", "of a zone", "times in seconds", "durations", "long decimals", "nothing"}
    | {"lists of times"},
    "lance": {"a.b"},
}
MARK = Mark.of("a" * 15, "1" * 15)


@pytest.fixture(params=FORMATS)
def place(request, tmp_path, monkeypatch):
    return Place(request.param, tmp_path, monkeypatch)


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_is_refused_before_the_run_or_committed_after_it(place, name):
    """What would be refused is a sentence also where it comes to the commit."""
    rows, table = pa.table({"before": [1], name: COLUMNS[name]}), open_table(place.section)
    assert table.look() is None
    if name in REFUSED[place.format]:
        with pytest.raises(
            Refused, match=rf"^output\.table: column {name} .*, which {place.format.capitalize()} "
        ) as refused:
            table.check(rows.schema)
        assert "leave it out of output.keep" in str(refused.value)
        with pytest.raises(StoreFailed, match=r"^cannot commit to [^\n]*$"):
            table.replace(rows.to_reader(), MARK)
    else:
        table.check(rows.schema)
        assert table.replace(rows.to_reader(), MARK)


def test_a_run_is_refused_by_the_type_of_its_column(place, tmp_path):
    """And leaves no note of a table for a retry."""
    store, schema = Store(str(tmp_path / "out")), SCHEMA.append(pa.field("took", pa.month_day_nano_interval()))
    format = place.format.capitalize()
    with pytest.raises(Refused, match=f"column took is month_day_nano_interval, which {format} has no type for; cast"):
        take_table(place.section, store, "f" * 64, schema)
    assert store.read_json(NOTE) is None


def test_names_that_are_one_to_the_format_are_refused_together(tmp_path, monkeypatch):
    rows = pa.table({"alt": ["a"], "Alt": ["b"]})
    with pytest.raises(
        Refused, match=r"Delta does not take the columns together: .*Duplicate field name.*; rename one"
    ):
        open_table(Place("delta", tmp_path, monkeypatch).section).check(rows.schema)
