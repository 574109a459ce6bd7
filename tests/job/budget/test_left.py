"""What a run that its budget has ended says."""

import pytest

from relabel.job.budget.left import Left


def left(**fields):
    own = {
        "reached": "gpu_hours",
        "limits": {"gpu_hours": 5.0, "until": "06:00Z"},
        "price": 2.5,
        "hours": 2.0,
        "rows": 100,
        "seconds": 3600.0,
        "hours_before": 3.0,
        "dollars_before": 6.0,
        "rows_before": 50,
        "units_left": 20,
        "rows_left": 200,
    }
    return Left(**{**own, **fields})


def test_what_is_left_costs_what_this_runs_rows_did():
    assert left().to_json() == {
        "reached": "gpu_hours",
        "limits": {"gpu_hours": 5.0, "until": "06:00Z"},
        "spent": {"gpu_hours": 5.0, "dollars": 11.0, "this_run_gpu_hours": 2.0},
        "left": {"units": 20, "rows": 200, "gpu_hours": 4.0, "dollars": 10.0, "seconds": 7200.0},
    }
    assert left().sentence() == (
        "stopped by resources.budget.gpu_hours (5.0): 5 GPU hours are spent on this output ($11.00); 200 rows in 20 "
        "units are left, they take about 4 GPU hours ($10.00) at this run's rate; "
        "raise it, and the same command goes on"
    )


def test_where_this_run_did_nothing_the_rate_is_that_of_earlier_ones():
    nothing = {"hours": 0.0, "rows": 0, "seconds": 0.0, "price": None}
    assert left(**nothing).to_json()["left"]["gpu_hours"] == 12.0
    assert "they take about 12 GPU hours at the rate of earlier runs" in left(**nothing).sentence()
    unknown = left(**nothing, hours_before=0.0)
    assert unknown.to_json()["left"] == {"units": 20, "rows": 200, "gpu_hours": None, "dollars": None, "seconds": None}
    assert "what they take is not known: no run has done any" in unknown.sentence()


@pytest.mark.parametrize(("until", "is_raised"), [("06:00Z", False), ("2026-11-29T06:00:00Z", True)])
def test_of_a_time_of_day_the_next_one_counts_and_a_date_must_be_raised(until, is_raised):
    said = left(reached="until", limits={"until": until}).sentence()
    assert ("raise it" in said) == is_raised
