"""Ratios and counts from plain numbers."""

from __future__ import annotations

from relabel.bench.speed import Speed, num_differing, ratios_of


def turn(**seconds):
    return {name: Speed(rows=rows, wall=wall, cpu=wall / 2) for name, (rows, wall) in seconds.items()}


def test_a_ratio_is_of_rows_a_second_within_a_turn_and_its_median_counts():
    turns = [
        turn(static=(10, 1.0), continuous=(10, 0.5), padded_64=(10, 2.0), one_by_one=(5, 4.0)),
        turn(static=(10, 1.0), continuous=(10, 0.5), padded_64=(10, 3.0), one_by_one=(5, 4.0)),
        turn(static=(10, 9.0), continuous=(10, 0.5), padded_64=(10, 9.0), one_by_one=(5, 4.0)),
    ]
    ratios = ratios_of(turns)
    assert ratios["static"]["padded_64"] == {"wall": 2.0, "cpu": 2.0}
    assert ratios["continuous"]["one_by_one"] == {"wall": 16.0, "cpu": 16.0}


def test_a_rival_that_did_not_run_has_no_ratio():
    turns = [turn(static=(1, 1.0), continuous=(1, 1.0), padded_64=(1, 1.0), generate_batch=(1, 1.0))]
    turns.append(turn(static=(1, 1.0), continuous=(1, 1.0), padded_64=(1, 1.0)))
    assert ratios_of(turns)["static"].keys() == {"padded_64"}


def test_rows_differ_where_their_tokens_do_as_far_as_there_are_outputs():
    assert num_differing([[1], [2, 3]], [[1], [2], [9]]) == 1
