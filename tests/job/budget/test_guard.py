"""How many units a budget lets begin while others come along, by clocks that stand."""

from datetime import UTC, datetime

import pytest

from relabel.data.runs.heard import Heard, Runs
from relabel.engine import Goodput
from relabel.job.budget.guard import Guard
from relabel.job.progress.engines import EnginesSeen
from relabel.job.receipt import EngineReport
from relabel.spec import Resources
from tests.data.runs.beats import beat

ROWS = [10.0] * 100
START = datetime(2026, 11, 28, 22, tzinfo=UTC)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def guard_of(clock, gpus=1.0, **budget):
    resources = Resources.model_validate({"budget": budget, "gpus_per_actor": gpus, "actors": 2})
    guard = Guard(resources, Runs(heard=()), rows_done=0, now=lambda: START, clock=clock)
    assert guard.allow(100, ROWS) == 100
    return guard


def report(process, tokens, seconds):
    goodput = Goodput(output_tokens=tokens, seconds=seconds, num_batches=tokens)
    return EngineReport(process=process, batching={"batching": "scripted", "notes": []}, goodput=goodput)


def figures(rows, tokens):
    return {"units": rows // 10, "rows": rows, "output_tokens": tokens}


def test_two_engines_of_four_gpus_spend_the_hours_of_eight():
    clock, engines = Clock(), EnginesSeen()
    guard = guard_of(clock, gpus=4.0, gpu_hours=8.0)
    engines.hear(report("a", 100, 360.0), 360.0)
    guard.hear(figures(10, 100), engines)
    assert guard.course.most_begun == 20, "ten rows took 0.4 hours"
    engines.hear(report("b", 100, 180.0), 360.0)
    guard.hear(figures(20, 200), engines)
    assert guard.course.most_begun == 27, "and twenty 0.6"
    assert (guard.ended_by(27), guard.ended_by(100)) == ("gpu_hours", None)


def test_what_another_run_spends_meanwhile_is_left_to_nobody():
    clock, engines = Clock(), EnginesSeen()
    guard = guard_of(clock, gpu_hours=8.0)
    engines.hear(report("a", 100, 1440.0), 1440.0)
    guard.hear(figures(10, 100), engines)
    assert guard.course.most_begun == 20
    guard.hear_others(Runs(heard=[Heard(beat=beat(state="ended", gpu_hours=4.0), age=1.0, clocks_apart=0.0)]))
    guard.hear(figures(10, 100), engines)
    assert guard.course.most_begun == 10


def test_until_a_moment_all_engines_that_are_up_go_on_whether_or_not_they_have_said_anything():
    """An hour from ten to eleven; the first unit took six minutes, and the other engine is still at work."""
    clock, engines = Clock(), EnginesSeen()
    guard = guard_of(clock, until="23:00Z")
    clock.now, guard.course.num_engines = 360.0, 2
    engines.hear(report("a", 100, 300.0), 360.0)  # it came up a minute after the start
    guard.hear(figures(10, 100), engines)
    assert guard.course.most_begun == 24, "2 x 59 minutes at five minutes a unit"
    assert guard.ended_by(24) == "until"


@pytest.mark.parametrize("rows", [95, 100])
def test_of_several_limits_the_nearest_counts(rows):
    clock, engines = Clock(), EnginesSeen()
    resources = Resources.model_validate({"budget": {"rows": rows, "gpu_hours": 1.0}})
    guard = Guard(resources, Runs(heard=()), rows_done=0, clock=clock)
    assert guard.allow(100, ROWS) == rows // 10
    engines.hear(report("a", 100, 36.0), 36.0)
    guard.hear(figures(10, 100), engines)
    assert (guard.course.most_begun, guard.ended_by(rows // 10)) == (rows // 10, "rows")
    engines.hear(report("a", 200, 1440.0), 1440.0)
    guard.hear(figures(20, 200), engines)
    assert (guard.course.most_begun, guard.ended_by(5)) == (5, "gpu_hours")


def test_without_a_budget_nothing_is_counted():
    guard = Guard(Resources(), Runs(heard=()), rows_done=0)
    assert guard.allow(100, ROWS) == 100
    guard.hear(figures(10, 100), EnginesSeen())
    assert (guard.course.is_limited, guard.course.most_begun, guard.ended_by(3)) == (False, None, None)
