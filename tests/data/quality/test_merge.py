import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relabel.data.quality.distinct import distinct
from relabel.data.quality.figures import Quality
from relabel.data.quality.measure import measure
from relabel.data.quality.merge import merge
from tests.data.quality.kit import ROWS, measured

EXACT = (
    "num_rows",
    "num_labels",
    "empty",
    "truncated",
    "repeated",
    "refused",
    "length",
    "compared",
    "changed",
    "unchanged",
)


@given(ROWS, ROWS, st.booleans())
def test_the_merged_figures_of_two_parts_are_those_of_one(some, others, with_old):
    parts = [measured(some, 0, with_old), measured(others, len(some), with_old)]
    merged, whole = merge(parts), measured(some + others, 0, with_old)
    assert [getattr(merged, name) for name in EXACT] == [getattr(whole, name) for name in EXACT]
    assert merged.rates() == whole.rates()
    assert merged.examples == whole.examples


@given(st.lists(ROWS, min_size=2, max_size=5), st.randoms(use_true_random=False))
def test_parts_merge_in_any_order_and_in_any_groups(parts, rng):
    """Also where the sample of the distinct labels is cut, here after 2 labels of a part."""
    qualities = [
        replace(measured(rows), distinct=distinct([row[0] for row in rows if row[0]], at_most=2)).in_file(
            f"{at}.parquet"
        )
        for at, rows in enumerate(parts)
    ]
    whole = merge(qualities)
    rng.shuffle(qualities)
    at = rng.randrange(len(qualities) + 1)
    assert merge([merge(qualities[:at]), merge(qualities[at:])]) == whole
    assert merge([whole]) == whole
    assert merge([]) == Quality()


def test_a_run_is_estimated_from_its_parts():
    """60 parts of 500 rows; a fifth of all labels were there before, some in the part and some in another."""
    rng = random.Random(1)
    labels = [f"label {row if rng.random() < 0.8 else rng.randrange(row + 1)}" for row in range(30_000)]
    run = merge(
        measure(labels[at : at + 500], ["stop"] * 500, range(at, at + 500)) for at in range(0, len(labels), 500)
    )
    assert run.rates()["duplicates"] == pytest.approx(1 - len(set(labels)) / len(labels), abs=0.01)
