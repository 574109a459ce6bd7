"""What rows of a padded batch have in common is computed once, and those that have ended are left behind."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from relabel.engine import Request, Result, Sampling, StaticEngine
from tests.engine import inputs, models
from tests.engine.kit import POISON, poisoned
from tests.engine.static import families

NEVER = [2**31 - 1]
SAMPLING = Sampling(max_new_tokens=8, temperature=0.8, seed=4, stop_token_ids=[5, 22, 39, 56], logprobs=True)
SHARING = {
    "llama": (models.llama, inputs.text_requests),
    "mistral": (models.mistral, inputs.text_requests),
    "gemma2": (models.gemma2, inputs.text_requests),
    "gpt_oss": (models.gpt_oss, inputs.text_requests),
    "smolvlm": (models.smolvlm, inputs.smolvlm_requests),
    "gemma3": (models.gemma3, inputs.gemma3_requests),
    "paligemma": (families.paligemma, families.paligemma_requests),
}


def samples_of(requests: list[Request], num_samples: int = 3) -> list[Request]:
    return [replace(one, id=10 * at + sample) for at, one in enumerate(requests) for sample in range(num_samples)]


def count_rows(model: Any) -> list[int]:
    """A list that gets the number of rows of every forward."""
    sizes: list[int] = []
    model.register_forward_pre_hook(lambda _, args, kwargs: sizes.append(len(kwargs["input_ids"])), with_kwargs=True)
    return sizes


def assert_same(mine: list[Result], others: list[Result]) -> None:
    for one, other in zip(mine, others, strict=True):
        assert replace(one, logprobs=None) == replace(other, logprobs=None)
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-4)


@pytest.mark.parametrize("family", SHARING)
def test_a_prompt_that_rows_have_in_common_is_computed_once(family):
    build, make_requests = SHARING[family]
    model, requests = build(), make_requests()
    engine, rows = StaticEngine(model, None, SAMPLING), samples_of(requests)
    alone = [engine.generate([row])[0] for row in rows]
    before, sizes = engine.goodput.shared_tokens, count_rows(model)
    assert_same(engine.generate(rows), alone)
    assert sizes[0] == len(requests) < sizes[1] <= len(rows)
    assert before == 0
    assert engine.goodput.shared_tokens == 2 * sum(len(one.prompt_ids) for one in requests)
    assert len({tuple(result.token_ids or ()) for result in alone}) > len(rows) // 2


def test_a_few_equal_prompts_are_not_worth_it():
    model, requests = models.llama(), inputs.text_requests()
    sizes = count_rows(model)
    StaticEngine(model, None, SAMPLING).generate([*requests, replace(requests[0], id=99)])
    assert sizes[0] == len(requests) + 1


def test_rows_that_end_with_their_first_token_or_never_do():
    model, (one, *_) = models.llama(), inputs.text_requests()
    lengths = [1, 1, 5, 9]
    rows = [replace(one, id=at, sampling=replace(SAMPLING, max_new_tokens=most)) for at, most in enumerate(lengths)]
    engine = StaticEngine(model, None, SAMPLING)
    assert_same(engine.generate(rows), [engine.generate([row])[0] for row in rows])
    shortest = engine.generate(rows[:2])
    assert [result.num_tokens for result in shortest] == [1, 1]


def test_choices_that_are_scored_have_their_prompt_in_common():
    model, requests = models.llama(), inputs.text_requests()
    choices = [[7], [7, 9], [40, 41, 42]]
    rows = [
        replace(one, id=10 * at + choice, forced_ids=ids)
        for at, one in enumerate(requests)
        for choice, ids in enumerate(choices)
    ]
    engine = StaticEngine(model, None, SAMPLING)
    alone = [engine.generate([row])[0] for row in rows]
    sizes = count_rows(model)
    assert_same(engine.generate(rows), alone)
    assert sizes[0] == len(requests)


def test_a_prompt_that_gives_nan_costs_the_rows_that_have_it():
    model = poisoned(models.llama())
    rows = samples_of([*inputs.text_requests(3), Request(id=3, prompt_ids=[10, POISON, 11])])
    engine = StaticEngine(model, None, SAMPLING)
    results = engine.generate(rows)
    assert [str(result.error)[:9] for result in results if result.error] == ["nonfinite"] * 3
    assert [result.id for result in results if result.error] == [30, 31, 32]
    assert_same(results[:9], [engine.generate([row])[0] for row in rows[:9]])


@pytest.mark.parametrize(
    ("build", "make_requests"),
    [(models.gemma3, inputs.gemma3_requests), (families.paligemma, families.paligemma_requests)],
    ids=["gemma3", "paligemma"],
)
def test_token_types_are_of_prompts_alone(build, make_requests):
    model = build()
    requests = [
        replace(one, sampling=Sampling(max_new_tokens=2 * row + 1, stop_token_ids=NEVER))
        for row, one in enumerate(make_requests())
    ]
    alone = [models.generate_alone(model, one, one.sampling.max_new_tokens, NEVER) for one in requests]
    sizes = count_rows(model)
    engine = StaticEngine(model, None, Sampling())
    assert [result.token_ids for result in engine.generate(requests)] == alone
    assert sizes[0] == len(requests)
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < len(requests) // 2
    assert len({token for row in alone for token in row}) > 5
