from relabel.job.cluster.graph import (
    MOST_UNITS_AT_ONCE,
    NO_PROGRESS_SECONDS,
    UNITS_AT_ONCE,
    no_progress_seconds,
    units_at_once,
)
from relabel.job.faults.poison_search import MAX_DEATHS


def test_where_few_rows_of_each_are_asked_more_units_are_in_an_actor_at_once():
    assert units_at_once(1000, None) == units_at_once(1000, 1000) == units_at_once(1000, 501) == UNITS_AT_ONCE
    assert units_at_once(1000, 250) == 4 * UNITS_AT_ONCE
    assert units_at_once(1000, 1) == MOST_UNITS_AT_ONCE


def test_rows_that_hang_are_found_before_ray_gives_the_job_up():
    assert no_progress_seconds(1800.0) > MAX_DEATHS * 1800
    assert no_progress_seconds(0.5) == NO_PROGRESS_SECONDS
