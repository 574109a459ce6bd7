import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relabel.data.quality.figures import Quality
from relabel.data.quality.measure import measure
from relabel.data.quality.merge import merge
from tests.data.quality.kit import LOOP, ROWS, captions, measured


@given(ROWS, st.booleans())
def test_json_and_back(rows, with_old):
    for quality in (measured(rows, 0, with_old), merge([measured(rows), measured(rows, 20).in_file("a.parquet")])):
        assert Quality.from_json(json.loads(json.dumps(quality.to_json()))) == quality


@pytest.mark.parametrize(
    "value",
    [
        None,
        {"good": 1},
        {"num_rows": "1"},
        {"num_rows": True},
        {"words": 1},
        {"distinct": {}},
        {"distinct": {"total": 1, "hashes": "12"}},
        {"distinct": {"total": 1, "hashes": "no"}},
        {"distinct": {"total": 1, "hashes": "", "parts": [1]}},
        {"examples": []},
        {"examples": {"empty": [["a.parquet"]]}},
    ],
)
def test_what_is_no_quality_is_refused(value):
    with pytest.raises(ValueError):
        Quality.from_json(value)


@pytest.mark.parametrize(
    ("num_rows", "num_bytes"), [(1, 2_000), (16, 2_500), (128, 5_000), (1_024, 7_500), (20_000, 9_000)]
)
def test_the_json_of_a_part_is_small(num_rows, num_bytes):
    """A label that is compared has the most to say. Here also everything that has examples went wrong."""
    rng = random.Random(1)
    texts, old = captions(rng, num_rows), captions(rng, num_rows)
    texts[: num_rows // 4] = ["x", LOOP, "I can't help with that"] * (num_rows // 12)
    quality = measure(texts, ["length"] * len(texts), range(10**7, 10**7 + len(texts)), old)
    assert len(json.dumps(quality.to_json())) < num_bytes


def test_a_label_without_an_old_one_says_less():
    texts = captions(random.Random(1), 1_024)
    assert len(json.dumps(measure(texts, ["stop"] * 1_024, range(1_024)).to_json())) < 4_500


def test_the_summary_is_for_people_and_has_no_hashes():
    rows = [(label, "stop", "a cat", None) for label in captions(random.Random(1), 200)]
    summary = merge([measured(rows).in_file("a.parquet"), measured(rows, 200).in_file("b.parquet")]).summary()
    assert summary["counts"]["duplicates"] == 200
    assert summary["examples"] == {"changed": [["a.parquet", 0], ["a.parquet", 1], ["a.parquet", 2]]}
    assert len(json.dumps(summary)) < 800
    assert json.loads(json.dumps(summary)) == summary
