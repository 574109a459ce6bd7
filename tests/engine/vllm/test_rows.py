"""What a row of its own settings gets from vLLM: what relabel's own engine gives it, or a reject."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from relabel.engine import Constraint, Request, Sampling, load_engine
from relabel.errors import ModelRefused, RowRejected
from relabel.rejected import Code
from tests.engine.vllm.kit import GREEDY, NEW, prompts, rows

pytestmark = pytest.mark.vllm

SCHEMA = {
    "type": "object",
    "properties": {"color": {"enum": ["red", "blue"]}, "n": {"type": "integer", "minimum": 0, "maximum": 99}},
    "required": ["color", "n"],
    "additionalProperties": False,
}
CONSTRAINTS = {
    "choice": Constraint(kind="choice", value='["a small circle", "red", "top"]'),
    "regex": Constraint(kind="regex", value="[a-z]{3,6}-[0-9]{2}"),
    "json": Constraint(kind="json", value=json.dumps(SCHEMA)),
}
SETTINGS = {
    "greedy": {},
    "stop strings": {"stop_strings": ["e", "5"]},
    "fewest tokens": {"min_new_tokens": 12, "stop_token_ids": [2, 4, *range(5, 400, 9)]},
    "own stop tokens": {"stop_token_ids": list(range(5, 400, 9))},
    "fewest tokens and stop strings": {"min_new_tokens": 8, "stop_strings": ["e", "1", "n"]},
    "penalty": {"repetition_penalty": 1.3},
    "one token": {"max_new_tokens": 1},
}


@pytest.fixture(scope="module")
def own(folder):
    return load_engine(str(folder), sampling=GREEDY, dtype="float32", device="cpu")


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_give_the_texts_of_relabels_own_engine(engine, own, name):
    sampling = replace(GREEDY, **SETTINGS[name])
    keys = ("id", "text", "token_ids", "num_tokens", "finish_reason", "error")
    asked = rows(30, sampling)

    def told(by, asked):
        return [[getattr(result, key) for key in keys] for result in by.generate(asked)]

    mine = told(own, asked)
    assert told(engine, asked) == mine
    assert name == "greedy" or mine != told(own, rows(30)), "the settings say something"


def holds(kind, text):
    if kind == "choice":
        return text.strip() in json.loads(CONSTRAINTS["choice"].value)
    if kind == "regex":
        return re.fullmatch(CONSTRAINTS["regex"].value, text.strip()) is not None
    value = json.loads(text)
    return value.keys() == {"color", "n"} and value["color"] in ("red", "blue") and 0 <= value["n"] <= 99


@pytest.mark.parametrize("kind", CONSTRAINTS)
def test_every_constrained_text_that_ends_holds_its_label(engine, kind):
    sampling = Sampling(max_new_tokens=80, temperature=1.0, constraint=CONSTRAINTS[kind])
    results = engine.generate(rows(100, sampling))
    ended = [result.text for result in results if result.finish_reason == "stop"]
    assert len(ended) == 100
    assert all(holds(kind, text) for text in ended)


def logprobs_of(model, prompt, tokens):
    logits = model(torch.tensor([[*prompt, *tokens]])).logits[0, len(prompt) - 1 : -1]
    return logits.log_softmax(-1).gather(1, torch.tensor(tokens)[:, None])[:, 0]


@pytest.mark.parametrize("own", [{}, {"temperature": 0.7}, {"constraint": CONSTRAINTS["regex"], "temperature": 1.0}])
def test_log_probabilities_are_those_of_the_model_alone(engine, model, own):
    asked = rows(10, Sampling(max_new_tokens=NEW, logprobs=True, **own))
    for request, result in zip(asked, engine.generate(asked), strict=True):
        texts = [result.token_ids] if result.finish_reason == "length" else [[*result.token_ids, end] for end in (2, 4)]
        told = torch.tensor(result.logprobs)
        distances = [(told - logprobs_of(model, request.prompt_ids, text)).abs().max() for text in texts]
        assert min(distances) < 1e-4, "with one of the tokens that end a text"


def test_a_text_that_is_given_is_scored(engine, model):
    given = prompts(30, seed=3)
    asked = [
        Request(id=row, prompt_ids=prompt, forced_ids=ids[1:9])
        for row, (prompt, ids) in enumerate(zip(prompts(30), given, strict=True))
    ]
    for request, result in zip(asked, engine.generate(asked), strict=True):
        assert result.token_ids == list(request.forced_ids)
        wanted = logprobs_of(model, request.prompt_ids, list(request.forced_ids))
        torch.testing.assert_close(torch.tensor(result.logprobs), wanted, atol=1e-4, rtol=0)


BAD = {
    "prompt": (Code.PROMPT, {"prompt_ids": []}),
    "beyond the vocabulary": (Code.PROMPT, {"prompt_ids": [5, 4000]}),
    "too long": (Code.PROMPT_TOO_LONG, {"prompt_ids": [5] * 500}),
    "too much asked": (Code.SAMPLING, {"sampling": Sampling(max_new_tokens=512)}),
    "too hot": (Code.SAMPLING, {"sampling": Sampling(temperature=5.0)}),
    "no grammar": (Code.SAMPLING, {"sampling": Sampling(constraint=Constraint(kind="json", value='{"not": {}}'))}),
}


def test_images_that_cannot_be_handed_over_are_told_in_our_own_words(engine):
    from relabel.engine.vllm.images import placeholders

    pixels = {"pixel_values": np.zeros((1, 3, 8, 8), np.float32)}
    [result] = engine.generate([Request(id=0, prompt_ids=[5, 6], tensors=pixels)])
    assert str(result.error) == "prompt: vLLM takes no images for this model"
    with pytest.raises(RowRejected, match="not told where 2 images are whose tokens stand in 3 places"):
        placeholders([9, 9, 1, 9, 1, 9], image_token=9, num_images=2)


@pytest.mark.parametrize("name", BAD)
def test_a_bad_row_costs_itself(engine, name):
    code, changes = BAD[name]
    bad = Request(**{"id": 99, "prompt_ids": [5], **changes})
    first, second, third = engine.generate([*rows(1), bad, *rows(1)])
    assert second.error is not None
    assert second.error.code is code
    assert first.token_ids == third.token_ids != []


def test_what_the_engine_cannot_hold_a_text_to_is_refused_at_the_start(engine):
    with pytest.raises(ModelRefused, match="temperatures"):
        engine.prepare(Sampling(temperature=3.0))
    with pytest.raises(ModelRefused):
        engine.prepare(Sampling(constraint=Constraint(kind="regex", value="a{9999999}")))
