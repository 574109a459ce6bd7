"""The models that are made for the purpose."""

from __future__ import annotations

import torch

from relabel.bench.model import LARGE, Model, random_llama


def test_the_large_model_has_the_size_of_llama_3_8b():
    model = random_llama(LARGE, torch.bfloat16, torch.device("meta"))
    assert model.num_parameters() == 8_030_261_248
    assert {weight.dtype for weight in model.parameters()} == {torch.bfloat16}
    assert {weight.device.type for weight in model.parameters()} == {"meta"}


def test_random_weights_are_drawn_and_the_same_every_time():
    small = {**LARGE, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "vocab_size": 200}
    first, second = (random_llama(small, torch.bfloat16, torch.device("cpu")) for _ in range(2))
    for mine, other in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(mine, other)
        assert mine.dim() == 1 or 0.01 < mine.float().std() < 0.03


def test_the_small_model_is_loaded_as_a_user_would_and_as_the_engines_do():
    model = Model.load(None, torch.float32, torch.device("cpu"))
    assert model.plain is not model.own
    assert model.plain.num_parameters() == model.own.num_parameters() == 33_563_136
    assert not model.plain.training
    for mine, other in zip(model.plain.parameters(), model.own.parameters(), strict=True):
        assert torch.equal(mine, other)


def test_a_half_type_is_what_transformers_is_asked_for(tiny_model):
    model = Model.load(tiny_model, torch.bfloat16, torch.device("cpu"))
    assert model.plain.dtype == torch.bfloat16
    assert model.name == tiny_model
