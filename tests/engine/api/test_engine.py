"""One contract for every engine: what a job may ask of it, and the texts that it gets."""

from __future__ import annotations

import pytest

from relabel.engine import ContinuousEngine, Engine, Limits, Request, Sampling, ScriptedEngine, StaticEngine
from tests.engine import inputs, models

LIMITS = Limits(kv_tokens=512, num_slots=4, step_tokens=32)
SAMPLING = Sampling(max_new_tokens=6)
LETTERS = [token for letter in "abc" for token in models.tokenizer()(letter)["input_ids"]]


def static(tokenizer=None, sampling: Sampling = SAMPLING) -> Engine:
    return StaticEngine(models.llama(), tokenizer, sampling)


def continuous(tokenizer=None, sampling: Sampling = SAMPLING) -> Engine:
    return ContinuousEngine(models.llama(), tokenizer, sampling, limits=LIMITS)


def scripted(tokenizer=None, sampling: Sampling = SAMPLING) -> Engine:
    return ScriptedEngine(lambda request: "a text", sampling)


LOCAL = pytest.mark.parametrize("build", [static, continuous])


@pytest.mark.parametrize("build", [static, continuous, scripted])
def test_every_engine_keeps_the_contract(build) -> None:
    engine = build(models.tokenizer())
    assert isinstance(engine, Engine)
    engine.prepare(Sampling(max_new_tokens=3, stop_strings=["x"]))
    (result,) = engine.generate([Request(id=7, prompt_ids=[5, 6])])
    assert (result.id, result.error) == (7, None)
    assert result.text is not None
    assert engine.sampling is SAMPLING
    assert engine.goodput.output_tokens == result.num_tokens > 0
    assert engine.verdict.to_json()["batching"] == build.__name__
    assert engine.end_token == (None if build is scripted else models.EOS)


@LOCAL
def test_the_text_is_that_of_the_tokens_without_special_ones(build) -> None:
    engine = build(models.tokenizer())
    given = [LETTERS[0], models.BOS, LETTERS[1], models.EOS]
    (result,) = engine.generate([Request(id=0, prompt_ids=[5], forced_ids=given)])
    assert (result.text, result.token_ids, result.num_tokens) == ("ab", given, 4)


@LOCAL
def test_the_text_of_every_row_is_what_the_tokenizer_reads(build) -> None:
    tokenizer = models.tokenizer()
    for result in build(tokenizer).generate(inputs.text_requests()):
        assert result.text == tokenizer.decode(result.token_ids, skip_special_tokens=True)
        assert result.num_tokens == len(result.token_ids)


@LOCAL
def test_half_a_character_is_a_replacement_mark(build) -> None:
    tokenizer = models.tokenizer()
    tokenizer.backend_tokenizer.add_tokens(["Ã"])  # the first byte of two, as a byte-level tokenizer spells it
    half = tokenizer.convert_tokens_to_ids("Ã")
    assert half < models.VOCAB_SIZE
    (result,) = build(tokenizer).generate([Request(id=0, prompt_ids=[5], forced_ids=[LETTERS[0], half])])
    assert result.text == "a\N{REPLACEMENT CHARACTER}"


@LOCAL
def test_the_text_ends_before_the_first_stop_string_and_the_tokens_behind_it(build) -> None:
    tokenizer = models.tokenizer()
    (free,) = build(tokenizer).generate([Request(id=0, prompt_ids=[5, 6, 7])])
    assert free.text is not None
    stop = free.text[2:4]
    own = Sampling(max_new_tokens=6, stop_strings=[stop])
    (result,) = build(tokenizer).generate([Request(id=0, prompt_ids=[5, 6, 7], sampling=own)])
    assert result.text == free.text[: free.text.index(stop)]
    assert result.token_ids is not None
    assert tokenizer.decode(result.token_ids).endswith(stop)
    assert result.finish_reason == "stop"


@LOCAL
def test_without_a_tokenizer_there_are_tokens_and_no_text(build) -> None:
    (result,) = build().generate([Request(id=0, prompt_ids=[5])])
    assert result.text is None
    assert result.token_ids


@LOCAL
def test_a_row_with_an_error_has_no_text(build) -> None:
    (result,) = build(models.tokenizer()).generate([Request(id=0, prompt_ids=[])])
    assert (result.text, result.num_tokens) == (None, 0)
    assert result.error is not None


def test_the_end_token_is_the_one_that_ends_a_turn() -> None:
    engine = StaticEngine(models.llama(), models.tokenizer(("<|im_end|>",)), SAMPLING)
    assert engine.end_token == models.tokenizer(("<|im_end|>",)).convert_tokens_to_ids("<|im_end|>")
