"""Which actors a run has: plain numbers of Ray Data's pools."""

import pytest

from relabel.job.cluster.pools import MOST_AT_HAND, pools_of
from relabel.job.worker import MOST_UNITS_AT_ONCE
from relabel.spec import Resources


def pools(resources, *, num_handfuls=1000, handful_rows=1024.0, units_at_once=3, together=1):
    return pools_of(
        Resources.model_validate(resources),
        num_handfuls=num_handfuls,
        handful_rows=handful_rows,
        units_at_once=units_at_once,
        together=together,
    )


def test_a_number_of_actors_is_started_at_once_and_stays():
    found = pools({"actors": 8})
    assert found.said == "8 engines"
    assert (found.generating.min_size, found.generating.max_size) == (8, 8)
    assert (found.publishing.min_size, found.publishing.max_size) == (2, 2)


def test_of_a_range_all_are_asked_for_and_those_without_room_wait():
    found = pools({"actors": {"min": 2, "max": 64}})
    assert found.said == "up to 64 engines, as the cluster has room"
    assert (found.generating.min_size, found.generating.max_size) == (64, 64)
    assert (found.publishing.min_size, found.publishing.max_size) == (1, 16)


@pytest.mark.parametrize("actors", [8, {"min": 6, "max": 64}])
def test_there_are_no_more_actors_than_there_is_to_do(actors):
    found = pools({"actors": actors}, num_handfuls=4)
    assert (found.fewest, found.most) == (4, 4)


def test_small_handfuls_wait_in_greater_number_and_units_at_once_are_counted_in_handfuls():
    assert pools({}, handful_rows=1.0).at_hand == MOST_AT_HAND
    assert pools({}, handful_rows=1024.0).at_hand == 2
    assert pools({}, units_at_once=48, together=16).at_once * 16 == MOST_UNITS_AT_ONCE


def test_all_stages_hold_so_many_handfuls():
    found = pools({"actors": 8})
    assert found.slots(num_cpus=32) == 8 * (3 + 2) + (32 + 2) * 2
