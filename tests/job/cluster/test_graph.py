from relabel.job.cluster.graph import NO_PROGRESS_SECONDS, no_progress_seconds
from relabel.job.faults.poison_search import MAX_DEATHS


def test_rows_that_hang_are_found_before_ray_gives_the_job_up():
    assert no_progress_seconds(1800.0) > MAX_DEATHS * 1800
    assert no_progress_seconds(0.5) == NO_PROGRESS_SECONDS
