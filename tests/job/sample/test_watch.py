"""The continuous engine makes the very steps that the scheduler says again when its rows are played."""

import random

import pytest

from relabel.engine import Request, Sampling, load_engine
from relabel.job.forecast.play import works_of
from relabel.job.sample.measure import limits_of
from relabel.job.sample.requested import Asked, chosen_of, texts_by_row
from relabel.job.sample.watch import WatchedEngine


@pytest.fixture(scope="module")
def engine(text_model):
    sampling = Sampling(max_new_tokens=24, temperature=1.0, seed=3, stop_token_ids=tuple(range(200, 260)))
    return load_engine(str(text_model), sampling=sampling, dtype="float32")


def requests(number, *, prefix=(), group_of=lambda at: None, seed=0):
    random_ = random.Random(seed)
    return [
        Request(
            id=at,
            prompt_ids=[*prefix, *(random_.randrange(10, 390) for _ in range(random_.randrange(3, 60)))],
            group=group_of(at),
        )
        for at in range(number)
    ]


@pytest.mark.parametrize(
    "some",
    [
        requests(1),
        requests(40),
        requests(250, seed=1),
        requests(60, prefix=list(range(20, 60))),
        requests(60, prefix=list(range(20, 60)), group_of=lambda at: at // 3),
    ],
    ids=["one", "forty", "more than slots", "one prefix", "several texts a row"],
)
def test_the_steps_that_are_made_are_those_that_are_played(engine, some):
    watched = WatchedEngine(engine)
    before = engine.goodput.num_forwards
    results = watched.generate(some)
    assert [result.error for result in results] == [None] * len(some)
    (call,) = watched.calls
    asked = [
        Asked(request=request, most=24, chosen=chosen_of(result.num_tokens, result.finish_reason, 24))
        for request, result in zip(some, results, strict=True)
    ]
    played = list(
        works_of(list(texts_by_row(asked, 10**6).values()), limits_of(engine), unit_rows=10**6, units_at_once=1)
    )
    assert len(played) == engine.goodput.num_forwards - before
    numbers, times = zip(*call.steps, strict=True) if call.steps else ((), ())
    assert list(numbers) == sorted(set(numbers))
    assert list(times) == sorted(times)
    assert all(1 <= number <= len(played) for number in numbers)


def test_an_engine_is_watched_without_changing_what_it_says(engine):
    watched, some = WatchedEngine(engine), requests(7, seed=2)
    assert [one.token_ids for one in watched.generate(some)] == [one.token_ids for one in engine.generate(some)]
    assert (watched.sampling, watched.verdict, watched.end_token) == (engine.sampling, engine.verdict, engine.end_token)
