import pytest

from relabel.data.sources.unit import SourceFile, Unit
from relabel.errors import RunFailed
from relabel.job.stream.rows import rows_of, text_of, text_of_handful, unit_of_text, units_of_row

FILE = SourceFile(path="a/b.jsonl", url="s3://x/a/b.jsonl", size=7, version="v", state="touched", own_stem="b~1")
OTHER = SourceFile(path="c.jsonl", url="s3://x/c.jsonl", size=9, version="")
UNITS = [
    Unit(file=file, index=k, first_row=10 * k, num_rows=10, offset=77 * k) for file in (FILE, OTHER) for k in range(3)
]


@pytest.mark.parametrize("together", [1, 2, 4, 6])
def test_units_are_the_same_after_their_way_through_a_table(together):
    handfuls = [UNITS[first : first + together] for first in range(0, 6, together)]
    table = rows_of([text_of_handful(handful) for handful in handfuls])
    assert [units_of_row(table.slice(k, 1)) for k in range(len(handfuls))] == handfuls


def test_the_file_of_a_handful_is_written_once():
    assert text_of_handful(UNITS[:3]).count(FILE.url) == 1


def test_equal_units_have_equal_texts():
    assert len({text_of(unit) for unit in [*UNITS, unit_of_text(text_of(UNITS[0]))]}) == 6


@pytest.mark.parametrize("num_handfuls", [0, 2])
def test_handfuls_that_come_as_one_are_refused(num_handfuls):
    """Read together they would be published as one, and doubled or lost where Ray repeats the task."""
    with pytest.raises(RunFailed, match=f"handed out {num_handfuls} handfuls of units as one"):
        units_of_row(rows_of([text_of_handful(UNITS[:2])] * num_handfuls))
