import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relabel.engine.scheduling.step import Limits
from relabel.job.forecast.cost import LinearCost
from relabel.job.forecast.forecast import Fleet, Speed, mean_of, store_requests
from relabel.job.forecast.forecast import times_of as times_of_sample
from relabel.job.forecast.interval import UNKNOWN
from relabel.job.forecast.texts import SampledRow, Text

LIMITS = Limits(kv_tokens=10_000, num_slots=16, step_tokens=128)
SPEED = Speed(cost=LinearCost(step=0.01, prompt=1e-4, decoded=1e-3), limits=LIMITS, basis="measured")


def times_of(*arguments, seed):
    return times_of_sample(*arguments, seed, looked_at=64)


def fleet(actors=1, gpus=1.0):
    return Fleet(actors=actors, gpus=gpus, unit_rows=32, units_at_once=3)


def sample(number=64, cut=40):
    return [
        SampledRow(
            drawn=at // 4,
            texts=(Text(prompt=10 + at % 7, most=cut, chosen=1 + (at * 7) % cut),),
            output_tokens=1 + (at * 7) % cut,
        )
        for at in range(number)
    ]


def test_hours_are_those_of_all_gpus_and_seconds_those_of_the_clock():
    one, four = (times_of(sample(), 64_000, SPEED, fleet(actors), seed=0) for actors in (1, 4))
    assert four.seconds.mid == pytest.approx(one.seconds.mid / 4, rel=0.02)
    assert four.gpu_hours.mid == pytest.approx(one.gpu_hours.mid, rel=0.02)
    assert one.gpu_hours.mid == pytest.approx(one.seconds.mid / 3600)
    two_gpus_each = times_of(sample(), 64_000, SPEED, fleet(4, gpus=2.0), seed=0)
    assert two_gpus_each.gpu_hours.mid == pytest.approx(2 * four.gpu_hours.mid)
    on_cpus = times_of(sample(), 64_000, SPEED, fleet(gpus=0.0), seed=0)
    assert on_cpus.gpu_hours == one.gpu_hours


def test_actors_without_a_unit_are_not_paid():
    assert times_of(sample(), 32, SPEED, fleet(8), seed=0) == times_of(sample(), 32, SPEED, fleet(1), seed=0)


@settings(max_examples=15)
@given(st.integers(1, 5000), st.integers(1, 4))
def test_more_rows_never_take_less_and_the_interval_holds_the_middle(num_rows, more):
    less, longer = (times_of(sample(), rows, SPEED, fleet(), seed=1) for rows in (num_rows, num_rows * (1 + more)))
    assert 0 < less.seconds.low <= less.seconds.mid <= less.seconds.high
    assert less.seconds.mid <= longer.seconds.mid
    assert 1 <= less.rows_at_once <= 16


def test_a_row_that_is_rejected_before_it_is_generated_takes_no_time():
    rejected = [SampledRow(drawn=0, texts=(), output_tokens=0)]
    half = times_of(sample() + rejected * 64, 64_000, SPEED, fleet(), seed=0)
    whole = times_of(sample(), 64_000, SPEED, fleet(), seed=0)
    assert half.seconds.mid == pytest.approx(whole.seconds.mid / 2, rel=0.05)
    assert times_of(rejected, 100, SPEED, fleet(), seed=0).seconds.mid == 0


def test_a_figure_that_a_row_does_not_have_is_not_known():
    assert mean_of([*sample(), SampledRow(drawn=0, texts=())], lambda row: row.output_tokens, 100, 0, 64) == UNKNOWN


def test_each_unit_is_one_write():
    assert store_requests(50_000) == {"put": 50_003, "get": 100_008, "list": 153}
