import pytest

from relabel.data.sources.unit import SourceFile, Unit
from relabel.errors import RunFailed
from relabel.job.stream.rows import rows_of, text_of, unit_of_row, unit_of_text

FILE = SourceFile(path="a/b.jsonl", url="s3://x/a/b.jsonl", size=7, version="v", state="touched", own_stem="b~1")
UNITS = [Unit(file=FILE, index=k, first_row=10 * k, num_rows=10, offset=77 * k) for k in range(3)]


def test_a_unit_is_the_same_after_its_way_through_a_table():
    table = rows_of(UNITS)
    assert [unit_of_row(table.slice(k, 1)) for k in range(3)] == UNITS


def test_equal_units_have_equal_texts():
    assert len({text_of(unit) for unit in [*UNITS, unit_of_text(text_of(UNITS[0]))]}) == 3


@pytest.mark.parametrize("num_units", [0, 2])
def test_units_that_come_as_one_are_refused(num_units):
    """Read together they would be published as one, and doubled or lost where Ray repeats the task."""
    with pytest.raises(RunFailed, match=f"handed out {num_units} units as one"):
        unit_of_row(rows_of(UNITS[:num_units]))
