"""Where a row ends: stop tokens of the checkpoint and its tokenizer, stop strings, the cap."""

from __future__ import annotations

import pytest
from transformers import GenerationConfig

from relabel.engine import Request, Sampling, StaticEngine
from relabel.engine.sampling.stops import find_end_token, find_pad_token, find_stop_tokens
from relabel.errors import ModelRefused
from tests.engine import inputs, models


def test_stop_tokens_are_the_eos_list_the_tokenizers_eos_and_its_end_of_turn() -> None:
    config = GenerationConfig(eos_token_id=[7, 9])
    tokenizer = models.tokenizer(("<|eot_id|>", "<|other|>"))
    assert find_stop_tokens(config, None) == (7, 9)
    assert find_stop_tokens(config, tokenizer) == (2, 7, 9, tokenizer.convert_tokens_to_ids("<|eot_id|>"))


@pytest.mark.parametrize("name", ["<|eot_id|>", "<|im_end|>", "<end_of_turn>", "<|end|>", "<|return|>"])
def test_end_of_turn_tokens_of_known_families(name: str) -> None:
    tokenizer = models.tokenizer((name,))
    assert tokenizer.convert_tokens_to_ids(name) in find_stop_tokens(GenerationConfig(), tokenizer)


@pytest.mark.parametrize("name", ["<|return|>", "<|flush|>"])
def test_gpt_oss_and_solar_go_on_after_what_they_thought(name: str) -> None:
    tokenizer = models.tokenizer(("<|end|>", name))
    end, last = tokenizer.convert_tokens_to_ids(["<|end|>", name])
    for config in (GenerationConfig(), GenerationConfig(eos_token_id=[end, last])):
        stops = find_stop_tokens(config, tokenizer)
        assert end not in stops
        assert find_end_token(tokenizer, stops, 128) == last


def test_the_padding_token_falls_back_to_a_stop_token_within_the_vocabulary() -> None:
    assert find_pad_token(GenerationConfig(pad_token_id=4), None, (7,), 128) == 4
    assert find_pad_token(GenerationConfig(), models.tokenizer(), (7,), 128) == models.PAD
    assert find_pad_token(GenerationConfig(), None, (7, 9), 128) == 7
    assert find_pad_token(GenerationConfig(pad_token_id=128), None, (), 128) == 0


def test_the_models_own_stop_tokens_end_a_row_unless_others_are_named() -> None:
    model, requests = models.llama(), inputs.text_requests()
    free = StaticEngine(models.llama(), None, Sampling(max_new_tokens=12, stop_token_ids=[127])).generate(requests)
    ending = free[0].token_ids[3]
    assert ending not in free[0].token_ids[:3]
    model.generation_config.eos_token_id = [models.EOS, ending]
    result = StaticEngine(model, None, Sampling(max_new_tokens=12)).generate(requests)[0]
    assert (result.token_ids, result.finish_reason) == (free[0].token_ids[:3], "stop")


def test_a_row_at_the_cap_says_length_even_beside_rows_that_stopped() -> None:
    engine = StaticEngine(models.llama(), None, Sampling(max_new_tokens=5, stop_token_ids=range(3, 128, 9)))
    results = engine.generate(inputs.text_requests())
    assert {result.finish_reason for result in results} == {"stop", "length"}
    for result in results:
        assert (len(result.token_ids) == 5) == (result.finish_reason == "length")
        assert not set(result.token_ids) & set(range(3, 128, 9))


def test_a_stop_string_ends_a_row_and_keeps_the_tokens_that_complete_it() -> None:
    model, tokenizer = models.llama(), models.tokenizer()
    requests = [Request(id=row, prompt_ids=ids) for row, ids in enumerate(inputs.prompts(30, seed=5))]
    free = StaticEngine(model, tokenizer, Sampling(max_new_tokens=12, stop_token_ids=[127])).generate(requests)
    row, tokens = next(
        (result.id, result.token_ids)
        for result in free
        if all(2 < token < 97 for token in result.token_ids[:5]) and len(set(result.token_ids[:5])) == 5
    )
    stop = tokenizer.decode(tokens[3:5])
    assert len(stop) == 2
    sampling = Sampling(max_new_tokens=12, stop_token_ids=[127], stop_strings=[stop])
    results = StaticEngine(models.llama(), tokenizer, sampling).generate(requests)
    assert (results[row].token_ids, results[row].finish_reason) == (tokens[:5], "stop")
    assert sum(result.finish_reason == "length" for result in results) > 20


def test_a_stop_string_does_not_begin_in_the_prompt() -> None:
    tokenizer, request = models.tokenizer(), Request(id=0, prompt_ids=[40, 41, 42])
    free = StaticEngine(models.llama(), tokenizer, Sampling(max_new_tokens=6, stop_token_ids=[127]))
    tokens = free.generate([request])[0].token_ids
    stop = tokenizer.decode([42, tokens[0]])
    assert len(stop) == 2
    sampling = Sampling(max_new_tokens=6, stop_token_ids=[127], stop_strings=[stop])
    assert StaticEngine(models.llama(), tokenizer, sampling).generate([request])[0].token_ids == tokens


def test_stop_strings_need_a_tokenizer() -> None:
    with pytest.raises(ModelRefused, match="tokenizer"):
        StaticEngine(models.llama(), None, Sampling(stop_strings=["x"]))
