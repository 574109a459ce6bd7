"""Rows of very unequal length, in small: nearly as many are held as would fit without a token of room lost."""

from __future__ import annotations

import pytest

from benchmarks.lengths import lengths, play
from relabel.engine.scheduling.step import Limits


@pytest.mark.parametrize(("block_tokens", "share"), [(64, 0.85), (256, 0.8)])
@pytest.mark.parametrize("are_full", [True, False])
def test_most_of_the_rows_that_would_fit_are_held_and_hardly_any_begins_anew(
    are_full: bool, block_tokens: int, share: float
) -> None:
    limits = Limits(kv_tokens=50_000, num_slots=128, step_tokens=2048, block_tokens=block_tokens)
    held = play(lengths(800, are_full=are_full), limits)
    assert held.mean_rows_held >= share * held.ideal
    assert held.wasted < 0.03
