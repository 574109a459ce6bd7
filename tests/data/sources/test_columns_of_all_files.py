"""The columns of a source come from all of its files, whichever comes first."""

import itertools
import json
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relabel.data.sources import read
from relabel.data.sources.planning import make_plan
from relabel.data.sources.types import arrow_union
from relabel.errors import SourceRefused
from tests.data.builders import kept_schema, read_all, source_of, write_json, write_lines, write_parquet


def kept_of(root, format, keep):
    rows, kept = read_all(source_of(root, format), [], keep, unit_rows=5000)
    assert all(reason is None for _, reason in rows)
    return kept


def test_a_column_of_nulls_in_the_first_file_is_text_in_the_next(tmp_path):
    write_parquet(tmp_path / "a.parquet", {"note": pa.nulls(2)})
    write_parquet(tmp_path / "b.parquet", {"note": ["x", None]})
    kept = kept_of(tmp_path, "parquet", ["note"])
    assert (kept["note"].type, kept["note"].to_pylist()) == (pa.string(), [None, None, "x", None])


@pytest.mark.parametrize("order", list(itertools.permutations(["int16", "int64", "double"])))
def test_integers_and_doubles_are_doubles(tmp_path, order):
    for name, kind in zip("abc", order, strict=True):
        write_parquet(tmp_path / f"{name}.parquet", {"n": pa.array([1, None], kind)})
    kept = kept_of(tmp_path, "parquet", ["n"])
    assert (kept["n"].type, kept["n"].to_pylist()) == (pa.float64(), [1.0, None] * 3)


def test_integers_with_and_without_a_sign_are_decimals_that_hold_both(tmp_path):
    write_parquet(tmp_path / "a.parquet", {"n": pa.array([-1, None], pa.int64())})
    write_parquet(tmp_path / "b.parquet", {"n": pa.array([2**64 - 1, 0], pa.uint64())})
    kept = kept_of(tmp_path, "parquet", ["n"])
    assert kept["n"].to_pylist() == [-1, None, 2**64 - 1, 0]


@pytest.mark.parametrize("kind", ["int8", "int64", "uint64"])
def test_integers_beside_decimals_are_kept(tmp_path, kind):
    write_parquet(tmp_path / "a.parquet", {"price": pa.array([Decimal("1.25"), None])})
    largest = 2 ** int(kind.strip("uint")) - 1 if kind[0] == "u" else 2 ** (int(kind.strip("int")) - 1) - 1
    write_parquet(tmp_path / "b.parquet", {"price": pa.array([3, largest], kind)})
    assert kept_of(tmp_path, "parquet", ["price"])["price"].to_pylist() == [Decimal("1.25"), None, 3, largest]


def test_integers_that_no_double_holds_beside_doubles_are_told_before(tmp_path):
    write_parquet(tmp_path / "a.parquet", {"id": [2**53 + 1, 1]})
    write_parquet(tmp_path / "b.parquet", {"id": [1.0, None]})
    (note,) = make_plan(source_of(tmp_path, "parquet"), 8, kept=["id"]).notes
    assert note == "column id is double, and int64 in a.parquet: integers that no double holds are null"
    assert kept_of(tmp_path, "parquet", ["id"])["id"].to_pylist() == [None, 1.0, 1.0, None]


def test_a_kept_column_that_some_files_lack_is_null_there_and_that_is_said(tmp_path):
    write_parquet(tmp_path / "a.parquet", {"id": [1]})
    write_parquet(tmp_path / "b.parquet", {"id": [2], "note": ["x"]})
    assert kept_of(tmp_path, "parquet", ["id", "note"]).to_pylist() == [{"id": 1, "note": None}, {"id": 2, "note": "x"}]
    plan = make_plan(source_of(tmp_path, "parquet"), 8, kept=["note"])
    assert plan.notes == ("column note is null in 1 files that do not have it, the first: a.parquet",)


def test_types_without_one_for_both_are_refused_with_both_names_if_the_column_is_kept(tmp_path):
    write_parquet(tmp_path / "a.parquet", {"id": [1], "t": ["x"]})
    write_parquet(tmp_path / "b.parquet", {"id": ["one"], "t": ["x"]})
    source = source_of(tmp_path, "parquet")
    with pytest.raises(SourceRefused, match=r"output.keep: column 'id' is int64 in a.parquet and string in b.parquet"):
        make_plan(source, 8, kept=["id"])
    assert make_plan(source, 8, kept=["t"]).columns.names == ["id", "t"]


def test_a_number_that_is_no_integer_after_a_thousand_rows_and_a_late_key(tmp_path):
    rows = [{"price": n} for n in range(1000)] + [{"price": 1.5, "late": "x"}]
    write_json(tmp_path / "a.jsonl", rows)
    kept = kept_of(tmp_path, "jsonl", ["price", "late"])
    assert kept.schema.types == [pa.float64(), pa.string()]
    assert kept["price"].to_pylist() == [*map(float, range(1000)), 1.5]
    assert kept["late"].to_pylist() == [None] * 1000 + ["x"]


def test_integers_that_no_double_holds_beside_a_fraction_are_kept_exactly_as_text(tmp_path):
    write_json(tmp_path / "a.jsonl", [{"id": 2**53 + 1}, {"id": 1}])
    write_json(tmp_path / "b.jsonl", [{"id": 0.5}])
    assert kept_of(tmp_path, "jsonl", ["id"])["id"].to_pylist() == [str(2**53 + 1), "1", "0.5"]
    (tmp_path / "b.jsonl").unlink()
    assert kept_of(tmp_path, "jsonl", ["id"])["id"].to_pylist() == [2**53 + 1, 1]


def test_columns_of_one_name_are_there_twice_unless_another_file_has_just_one(tmp_path):
    write_parquet(tmp_path / "a.parquet", pa.table([pa.array([1])] * 2, ["n", "n"]))
    assert make_plan(source_of(tmp_path, "parquet"), 8, kept=["n"]).columns.names == ["n", "n"]
    write_parquet(tmp_path / "b.parquet", {"n": [1]})
    assert make_plan(source_of(tmp_path, "parquet"), 8, kept=["n"]).columns.names == ["n"]


def test_two_empty_names_in_a_header_cost_nothing(tmp_path):
    write_lines(tmp_path / "a.csv", ["id,,t,", "1,,x,"])
    assert read_all(source_of(tmp_path, "csv"), ["t"], ["id"])[0] == [(("x",), None)]


def test_a_file_that_comes_later_is_cast_to_the_types_of_the_output_and_that_is_said(tmp_path):
    write_parquet(tmp_path / "a.parquet", {"n": [1, 2]})
    source = source_of(tmp_path, "parquet")
    known = make_plan(source, 8, kept=["n"])
    write_parquet(tmp_path / "b.parquet", {"n": [3.0, 4.5]})
    plan = make_plan(source, 8, known, kept=["n"])
    assert plan.columns == known.columns
    assert plan.notes == ("b.parquet: column n is double, and int64 in the output: values that do not fit are null",)
    rows = read(plan.files[1].units[0], source, [], plan.columns)
    assert rows.kept["n"].to_pylist() == [3, None]
    assert rows.remarks == [None, "kept as null: column n is not int64"]


def test_a_file_that_comes_later_and_never_fits_is_refused_before_work(tmp_path):
    write_parquet(tmp_path / "a.parquet", {"n": [1, 2]})
    source = source_of(tmp_path, "parquet")
    known = make_plan(source, 8, kept=["n"])
    write_parquet(tmp_path / "b.parquet", {"n": ["x"]})
    with pytest.raises(SourceRefused, match=r"column 'n' is string in b.parquet and int64 in the output"):
        make_plan(source, 8, known, kept=["n"])


VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3)
)


@settings(max_examples=40, deadline=None)
@given(shards=st.lists(st.lists(VALUES, max_size=6), min_size=1, max_size=3))
def test_whatever_values_files_hold_none_of_them_is_lost(tmp_path_factory, shards):
    root = tmp_path_factory.mktemp("source")
    for number, values in enumerate(shards):
        write_json(root / f"{number}.jsonl", [{"v": value, "t": "x"} for value in values])
    if not any(shards):
        return
    schema = kept_schema(source_of(root, "jsonl"), ["v"])
    rows, kept = read_all(source_of(root, "jsonl"), ["t"], ["v"])
    assert all(row == (("x",), None) for row in rows)
    for value, found in zip(itertools.chain(*shards), kept["v"].to_pylist(), strict=True):
        is_text = schema.field("v").type == pa.string() and value is not None and not isinstance(value, str)
        assert (json.loads(found) if is_text else found) == value


@settings(max_examples=40, deadline=None)
@given(values=st.lists(VALUES, min_size=1, max_size=8), others=st.lists(VALUES, min_size=1, max_size=8))
def test_a_column_that_is_needed_has_the_type_that_all_rows_give_it(tmp_path_factory, values, others):
    """Where all that are needed are text the rest is not parsed: nothing turns text into anything else."""
    root = tmp_path_factory.mktemp("source")
    rows = zip(values, others, strict=False)
    write_json(root / "a.jsonl", [{"v": value, "w": other, "t": "x"} for value, other in rows])
    source = source_of(root, "jsonl")
    whole = make_plan(source, 8).columns
    for needed in (["v"], ["v", "t"], ["t"]):
        some = make_plan(source, 8, needed=needed)
        assert [some.columns.field(name).type for name in needed] == [whole.field(name).type for name in needed]
        assert some.num_rows == len(list(zip(values, others, strict=False)))


def test_a_key_that_is_needed_is_found_however_late_it_comes(tmp_path):
    write_json(tmp_path / "a.jsonl", [{"t": "x"}] * 2000 + [{"t": "x", "late": "y"}])
    source = source_of(tmp_path, "jsonl")
    assert make_plan(source, 8, needed=["t", "late"]).columns.names == ["t", "late"]
    assert make_plan(source, 8, needed=["t"]).columns.names == ["t"]


KINDS = [pa.null(), pa.bool_(), pa.int8(), pa.uint16(), pa.int64(), pa.uint64(), pa.decimal128(9, 2)]
KINDS += [pa.float32(), pa.float64(), pa.string()]


@pytest.mark.parametrize(("one", "other"), list(itertools.product(KINDS, KINDS)))
def test_the_type_of_two_is_the_same_in_any_order(one, other):
    assert arrow_union(one, other) == arrow_union(other, one)
    assert arrow_union(one, pa.null()) == one
