import dataclasses
import pickle

import pytest

from relabel.data.sources.parts import Parts, Selection
from tests.outputs import make_plan, planned_file

A, B, EMPTY = planned_file("a.jsonl", 10), planned_file("a-00001/b.jsonl", 3), planned_file("c.jsonl", 0)
GONE = dataclasses.replace(B, units=B.units.at(dataclasses.replace(B.file, state="gone")))
UNITS = [*A.units, *B.units]


def parts_of(*files):
    return Parts(planned.units for planned in files)


def test_every_unit_is_found_by_the_name_of_its_part_and_by_its_place():
    parts = parts_of(A, EMPTY, B)
    assert dict(parts) == {unit.part: unit for unit in UNITS}
    assert [parts.at(place) for place in range(len(parts))] == UNITS
    assert [parts.place_of(unit.part) for unit in UNITS] == [0, 1, 2, 3]
    assert [parts.num_rows_at(place) for place in range(4)] == [4, 4, 2, 3]
    assert (parts.num_rows, parts.get(UNITS[3].part)) == (13, UNITS[3])


@pytest.mark.parametrize(
    "name",
    [
        "a-00003.parquet",
        "a-0.parquet",
        "a-000000.parquet",
        "a-00000",
        "a-00000.parquet.gz",
        "a-\u00b2.parquet",
        "a-.parquet",
        "b-00000.parquet",
        "a.parquet",
        "",
        "a-00001/b.parquet",
        "-00000.parquet",
        "a--0001.parquet",
    ],
)
def test_other_names_are_those_of_no_unit(name):
    parts = parts_of(A, B)
    assert (parts.place_of(name), parts.get(name), name in parts) == (None, None, False)
    with pytest.raises(KeyError):
        parts[name]


def test_units_of_files_that_are_gone_stand_apart():
    parts = parts_of(A, GONE)
    assert list(parts.places(are_there=True)) == [0, 1, 2]
    assert list(parts.places(are_there=False)) == [3]


def test_of_two_files_of_one_name_the_last_counts():
    """As in a document that was damaged: a dictionary of parts would hold those of the last."""
    parts = parts_of(A, planned_file("a.csv", 4))
    assert [unit.file.path for unit in parts.values()] == ["a.csv"]


def test_some_units_are_a_sequence_of_their_own():
    some = Selection(parts_of(A, B), [1, 3])
    assert some == [UNITS[1], UNITS[3]] == list(some)
    assert (some[1:], some[-1], some.num_rows, len(some)) == ([UNITS[3]], UNITS[3], 7, 2)
    assert some != [UNITS[1]]
    assert not Selection(parts_of(), ())
    assert make_plan(A, B).num_rows == 13


def test_what_is_sent_of_a_selection_are_its_own_units():
    parts = parts_of(planned_file("a.jsonl", 40_000), EMPTY, B)
    some = Selection(parts, [10_000, 3, 2, 9_999])
    assert pickle.loads(pickle.dumps(some)) == some
    assert len(pickle.dumps(some)) < 2_000, "of ten thousand"
