"""The value of a column from a value of JSON, or a reject."""

import json
import math

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relabel.data.labels.arrow_types import JSON, arrow_value
from relabel.errors import RowRejected
from tests.data.labels.types import BOOL, FLOAT, INT, POINT_TYPE, STRING


@pytest.mark.parametrize(
    ("value", "type", "found"),
    [
        (None, INT, None),
        ("a", STRING, "a"),
        ({"b": "é", "a": [1, None]}, JSON, '{"a": [1, null], "b": "é"}'),
        (True, JSON, "true"),
        (5, JSON, "5"),
        ("5", JSON, '"5"'),
        (["5", 5, None], pa.list_(JSON), ['"5"', "5", None]),
        ({"x": "a"}, pa.struct([("x", JSON), ("y", JSON)]), {"x": '"a"', "y": None}),
        (1, INT, 1),
        (-(2**63), INT, -(2**63)),
        (2.0, INT, 2),
        (2, FLOAT, 2.0),
        (False, BOOL, False),
        ([1, None], pa.list_(INT), [1, None]),
        ({"x": 1, "z": 3}, POINT_TYPE, {"x": 1, "y": None}),
    ],
)
def test_a_value_is_what_json_gave_or_its_text(value, type, found):
    assert repr(arrow_value(value, type)) == repr(found)
    assert pa.array([found], type).to_pylist() == [found]


@pytest.mark.parametrize(
    ("value", "type", "why"),
    [
        (2**63, INT, "beyond 64 bits"),
        (1e19, INT, "beyond 64 bits"),
        (2.5, INT, "no integer"),
        (math.inf, INT, "no integer"),
        (math.nan, FLOAT, "beyond 64 bits"),
        (-math.inf, FLOAT, "beyond 64 bits"),
        (10**400, FLOAT, "beyond 64 bits"),
        ("\ud800", STRING, "surrogate"),
        ("\ud800", JSON, "surrogate"),
        ({"\ud800": 1}, JSON, "surrogate"),
        (["\ud800"], pa.list_(STRING), "surrogate"),
        (True, INT, "another kind"),
        (True, FLOAT, "another kind"),
        (1, BOOL, "another kind"),
        ("1", INT, "another kind"),
        ([1], POINT_TYPE, "another kind"),
        ({}, pa.list_(INT), "another kind"),
        (1, STRING, "another kind"),
        (b"", JSON, "another kind"),
        (math.nan, JSON, "another kind"),
    ],
)
def test_a_value_that_does_not_fit_is_a_reject(value, type, why):
    with pytest.raises(RowRejected, match=f"^parse: .*{why}"):
        arrow_value(value, type)


def test_an_integer_of_more_digits_than_python_writes_is_a_reject():
    for type in (INT, FLOAT, JSON):
        with pytest.raises(RowRejected, match="parse: "):
            arrow_value(10**5000, type)


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(st.sampled_from("abcd"), part, max_size=3),
    max_leaves=8,
)
TYPES = st.recursive(
    st.sampled_from([STRING, JSON, INT, FLOAT, BOOL]),
    lambda part: (
        part.map(pa.list_)
        | st.lists(part, max_size=3).map(lambda types: pa.struct(list(zip("abc", types, strict=False))))
    ),
    max_leaves=4,
)


@given(ANY, TYPES)
def test_any_value_and_any_type_give_a_value_of_the_type_or_a_reject(value, type):
    try:
        found = arrow_value(value, type)
    except RowRejected:
        pass
    else:
        assert pa.array([found], type).to_pylist() == [found]
        if type == JSON and value is not None:
            assert json.loads(found) == value
