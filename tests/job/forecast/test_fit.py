import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relabel.job.forecast.cost import LinearCost, RooflineCost, Work
from relabel.job.forecast.fit import FEWEST, fit_cost


def works(seed, number=60):
    random_ = random.Random(seed)
    return [
        Work(
            steps=random_.randrange(1, 4),
            prompt=random_.choice([0, 0, random_.randrange(900)]),
            decoded=random_.randrange(128),
            context=random_.randrange(20_000),
            logits=1,
        )
        for _ in range(number)
    ]


@settings(max_examples=25)
@given(st.tuples(*[st.sampled_from([0.0, 1e-5, 3e-4, 2e-2])] * 4).filter(any), st.integers(0, 3))
def test_a_cost_is_found_again_in_what_steps_took(factors, seed):
    cost = LinearCost(**dict(zip(("step", "prompt", "decoded", "context"), factors, strict=True)))
    some = works(seed)
    found = fit_cost(some, [cost(work) for work in some])
    for work in works(seed + 1):
        assert found(work) == pytest.approx(cost(work), rel=1e-4, abs=1e-6)


@settings(max_examples=25)
@given(st.lists(st.floats(0, 10), min_size=FEWEST, max_size=FEWEST).filter(any), st.integers(0, 3))
def test_no_part_of_a_cost_is_below_nothing_whatever_was_measured(seconds, seed):
    found = fit_cost(works(seed, FEWEST), seconds)
    assert found is None or min(found.step, found.prompt, found.decoded, found.context) >= 0


def test_noise_that_is_as_often_up_as_down_leaves_the_cost_as_it_is():
    random_, cost, some = random.Random(0), LinearCost(step=0.01, prompt=3e-4, decoded=1e-3), works(5, 400)
    found = fit_cost(some, [cost(work) * random_.uniform(0.7, 1.3) for work in some])
    full = Work(steps=1, prompt=100, decoded=192, context=30_000, logits=200)
    assert found(full) == pytest.approx(cost(full), rel=0.1)


def test_few_steps_say_nothing():
    assert fit_cost(works(0, FEWEST - 1), [1.0] * (FEWEST - 1)) is None
    assert fit_cost(works(0), [0.0] * 60) is None


def test_a_roofline_is_the_longer_of_arithmetic_and_traffic():
    cost = RooflineCost(
        flops_per_second=1e12, bytes_per_second=1e9, body=10**6, head=10**5, weight_bytes=10**6, kv_bytes=100
    )
    decode = cost(Work(steps=1, prompt=0, decoded=1, context=10, logits=1))
    assert decode == pytest.approx((10**6 + 1000) / 0.4e9)
    prefill = cost(Work(steps=1, prompt=10**5, decoded=0, context=0, logits=1))
    assert prefill == pytest.approx(2 * (10**11 + 10**5) / 0.4e12)
