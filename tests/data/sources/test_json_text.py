"""The text of a value of JSON that a column keeps."""

import json

from relabel.data.sources.values import json_text


def test_a_number_that_json_does_not_have_is_null():
    assert json_text([float("nan"), {"a": [float("-inf"), 1.5]}]) == '[null, {"a": [null, 1.5]}]'
    assert json.loads(json_text({"a": float("inf"), "b": "NaN"})) == {"a": None, "b": "NaN"}
