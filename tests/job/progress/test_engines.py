"""What engines have said of themselves, and how long they have worked."""

from dataclasses import replace

import pytest

from relabel.engine import Goodput
from relabel.job.progress.engines import EnginesSeen
from relabel.job.receipt import EngineReport, Waited


def report(process, seconds, num_batches=1, batching="continuous"):
    goodput = Goodput(seconds=seconds, num_batches=num_batches, output_tokens=10)
    return EngineReport(process=process, batching={"batching": batching, "notes": []}, goodput=goodput)


def test_until_it_says_more_an_engine_is_at_work_as_far_as_anybody_knows():
    engines = EnginesSeen()
    engines.are_up(2, 100.0)
    assert engines.seconds(110.0) == 20
    assert engines.hear(report("a", 8.0), 112.0)
    assert engines.seconds(112.0) == 8 + 12
    assert engines.seconds(115.0) == 8 + 3 + 15
    assert engines.goodput.seconds == 8, "what was said alone"


def test_an_engine_that_has_said_nothing_for_long_is_gone():
    engines = EnginesSeen()
    engines.hear(report("a", 8.0), 12.0)
    engines.hear(report("a", 18.0, 2), 24.0)
    assert engines.seconds(1000.0) == 18 + 2 * 12


def test_reports_of_one_engine_may_come_out_of_order():
    engines = EnginesSeen()
    assert engines.hear(report("a", 8.0, 2), 20.0)
    assert not engines.hear(report("a", 5.0, 1), 21.0)
    assert engines.goodput.seconds == 8
    assert not engines.hear(report("a", 9.0, 3, "static"), 22.0)
    assert (engines.num_up, engines.lasted, engines.began) == (1, 10.0, 12.0)
    assert engines.batching == [{"batching": "static", "notes": []}]


@pytest.mark.parametrize("count", [0, 1])
def test_of_nobody_nothing_is_known(count):
    engines = EnginesSeen()
    engines.are_up(count, 5.0)
    engines.are_up(0, 9.0)
    assert (engines.num_up, engines.lasted, engines.began, engines.seconds(6.0)) == (count, 0.0, 0.0, count)


def test_what_engines_have_waited_is_a_share_of_the_time_of_all_of_them():
    engines = EnginesSeen()
    assert engines.waited(50.0) == {"loading": 0, "reading": 0, "publishing": 0, "ending": 0}
    for process, at, loading, reading in (("a", 100.0, 10.0, 5.0), ("b", 110.0, 20.0, 5.0)):
        waited = Waited(seconds=40.0, loading=loading, reading=reading, publishing=1.0)
        engines.hear(replace(report(process, 8.0), waited=waited), at)
    assert engines.waited(120.0) == {
        "loading": round(30 / 110, 4),
        "reading": round(10 / 110, 4),
        "publishing": round(2 / 110, 4),
        "ending": round((20 + 10) / 110, 4),
    }
