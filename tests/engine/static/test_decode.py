"""Rows of a padded batch that have ended are left behind, those whose tokens see others after them included."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relabel.engine import Sampling, StaticEngine
from tests.engine import inputs, models
from tests.engine.static import families

NEVER = [2**31 - 1]


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
    sizes: list[int] = []
    model.register_forward_pre_hook(lambda _, args, kwargs: sizes.append(len(kwargs["input_ids"])), with_kwargs=True)
    engine = StaticEngine(model, None, Sampling())
    assert [result.token_ids for result in engine.generate(requests)] == alone
    assert sizes[0] == len(requests)
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < len(requests) // 2
    assert len({token for row in alone for token in row}) > 5
