"""Scores are the model's own, whatever the text is held to."""

from __future__ import annotations

import pytest
import torch

from relabel.engine import Request
from tests.engine import inputs, models
from tests.engine.bound import CHOICE, engine


@pytest.mark.parametrize("batching", ["static", "continuous"])
@pytest.mark.parametrize("bound", [{}, {"constraint": CHOICE}, {"temperature": 0.0}])
def test_log_probabilities_are_those_of_the_model_alone(batching, bound):
    own, model = engine(batching, logprobs=True, **{"max_new_tokens": 12, **bound}), models.llama()
    for result, request in zip(own.generate(rows := inputs.text_requests()), rows, strict=True):
        chosen = [*result.token_ids, *([models.EOS] if result.finish_reason == "stop" else [])]
        ids = torch.tensor([[*request.prompt_ids, *chosen]])
        logits = model(ids).logits[0, len(request.prompt_ids) - 1 : -1]
        wanted = logits.log_softmax(-1).gather(1, torch.tensor(chosen)[:, None])[:, 0]
        torch.testing.assert_close(torch.tensor(result.logprobs), wanted, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("batching", ["static", "continuous"])
def test_a_text_that_is_given_is_scored(batching):
    """The model's own greedy text, forced upon it, has the same log-probabilities; another text has lower ones."""
    own = engine(batching, logprobs=True, temperature=0.0, max_new_tokens=8)
    prompts = inputs.prompts(5)
    free = own.generate([Request(id=row, prompt_ids=prompt) for row, prompt in enumerate(prompts)])
    rows = [(prompt, result.token_ids) for prompt, result in zip(prompts, free, strict=True) if result.token_ids]
    forced = own.generate([Request(id=0, prompt_ids=prompt, forced_ids=ids) for prompt, ids in rows])
    other = own.generate([Request(id=0, prompt_ids=prompt, forced_ids=ids[::-1]) for prompt, ids in rows])
    for (_, ids), result, worse in zip(rows, forced, other, strict=True):
        assert result.token_ids == ids
        assert len(result.logprobs) == len(ids)
        assert ids == ids[::-1] or sum(worse.logprobs) < sum(result.logprobs)
    assert [result.logprobs[0] for result in forced] == pytest.approx(
        [result.logprobs[0] for result in free if result.token_ids], abs=1e-4
    )


def test_nobody_asked_for_log_probabilities():
    assert engine("continuous").generate(inputs.text_requests(1))[0].logprobs is None
