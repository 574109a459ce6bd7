"""On the device a row's text is its own: whatever rows are beside it, in whatever order and layout."""

from __future__ import annotations

import json

import pytest
import torch

from relabel.engine import ContinuousEngine, Limits, Request, Sampling, StaticEngine
from tests.engine import inputs, models
from tests.engine.bound import CHOICE, CHOICES, JSON
from tests.engine.kit import FEW, STOP, WIDE, continuous, ids

pytestmark = pytest.mark.gpu

SETTINGS = {
    "plain": {"temperature": 0.9},
    "top-k": {"temperature": 0.9, "top_k": 20},
    "top-p": {"temperature": 0.9, "top_p": 0.8},
    "min-p": {"temperature": 0.9, "min_p": 0.02},
    "penalty": {"temperature": 0.9, "repetition_penalty": 1.3, "min_new_tokens": 3},
}


@pytest.mark.parametrize("kind", SETTINGS)
def test_sampled_text_does_not_depend_on_the_batch(kind: str, device: torch.device) -> None:
    sampling = Sampling(max_new_tokens=12, seed=3, stop_token_ids=STOP, **SETTINGS[kind])
    model, requests = models.llama().to(device), inputs.text_requests(40)
    together = ids(continuous(model, sampling, WIDE), requests)
    assert len({token for row in together.values() for token in row or ()}) > 20
    assert ids(continuous(model, sampling, FEW), requests[::-1]) == together
    assert ids(continuous(model, sampling, FEW), requests[::3]) == {row.id: together[row.id] for row in requests[::3]}
    assert ids(StaticEngine(model, None, sampling), requests) == together


def test_log_probabilities_are_those_of_a_row_alone(device: torch.device) -> None:
    sampling = Sampling(max_new_tokens=12, stop_token_ids=STOP, logprobs=True)
    model, requests = models.llama().to(device), inputs.text_requests(20)
    for result, request in zip(continuous(model, sampling).generate(requests), requests, strict=True):
        [alone] = continuous(model, sampling).generate([request])
        assert result.token_ids == alone.token_ids
        assert result.logprobs == pytest.approx(alone.logprobs, abs=1e-3)


@pytest.mark.parametrize("constraint", [JSON, CHOICE], ids=["json", "choice"])
def test_constrained_text_is_what_the_constraint_says(constraint, device: torch.device) -> None:
    pytest.importorskip("llguidance")
    sampling = Sampling(max_new_tokens=120, temperature=1.0, seed=3, constraint=constraint)
    limits = Limits(kv_tokens=4096, num_slots=8, step_tokens=72)
    engine = ContinuousEngine(models.llama().to(device), models.tokenizer(), sampling, limits=limits)
    texts = [(result.text or "").strip() for result in engine.generate(inputs.text_requests(12))]
    if constraint is CHOICE:
        assert set(texts) <= set(CHOICES)
    else:
        assert {json.loads(text)["size"] for text in texts} <= {"small", "large"}


def test_stop_strings_end_a_row(device: torch.device) -> None:
    model, tokenizer, requests = models.llama().to(device), models.tokenizer(), inputs.text_requests(12)
    plain = continuous(model, Sampling(max_new_tokens=16), tokenizer=tokenizer).generate(requests)
    stop = (plain[0].text or "")[3:5]
    asked = [
        Request(id=row.id, prompt_ids=row.prompt_ids, sampling=Sampling(max_new_tokens=16, stop_strings=[stop]))
        for row in requests
    ]
    ended = continuous(model, Sampling(max_new_tokens=16), tokenizer=tokenizer).generate(asked)
    assert ended[0].finish_reason == "stop"
    assert [row.text for row in ended] == [(row.text or "").partition(stop)[0] for row in plain]
