"""What vLLM gives for a row becomes a result. Needs no vLLM."""

import math
from types import SimpleNamespace

import pytest

from relabel.engine import Request, Sampling
from relabel.engine.vllm.outcome import scored, written
from relabel.rejected import Code

REQUEST = Request(id=7, prompt_ids=[1, 5])


def table(token, logprob):
    return {token: SimpleNamespace(logprob=logprob), 99: SimpleNamespace(logprob=-0.1)}


def text(tokens, reason, stop_reason=None, logprobs=None):
    one = SimpleNamespace(token_ids=tokens, finish_reason=reason, stop_reason=stop_reason, logprobs=logprobs)
    return SimpleNamespace(outputs=[one])


def test_the_stop_token_is_no_part_of_the_text_and_has_its_probability():
    found = text([8, 9, 2], "stop", 2, [table(8, -1.0), table(9, -2.0), table(2, -3.0)])
    result, tokens = written(REQUEST, Sampling(logprobs=True), found)
    assert (result.id, result.token_ids, result.num_tokens, result.finish_reason) == (7, [8, 9], 2, "stop")
    assert result.logprobs == [-1.0, -2.0, -3.0]
    assert tokens == [8, 9, 2]


def test_the_tokens_of_a_stop_string_are_kept():
    result, _ = written(REQUEST, Sampling(stop_strings=["x"]), text([8, 9], "stop", "x"))
    assert (result.token_ids, result.finish_reason) == ([8, 9], "stop")


def test_a_text_that_reaches_its_length_is_cut_off():
    assert written(REQUEST, Sampling(), text([8, 9], "length"))[0].finish_reason == "length"


@pytest.mark.parametrize("reason", ["abort", "error", "repetition", None])
def test_a_row_that_ended_in_any_other_way_is_rejected(reason):
    result, _ = written(REQUEST, Sampling(), text([8], reason))
    assert (result.error.code, result.finish_reason, result.token_ids) == (Code.PROMPT, None, [])


def test_a_row_without_numbers_is_rejected():
    result, _ = written(REQUEST, Sampling(logprobs=True), text([8], "length", None, [table(8, math.nan)]))
    assert result.error.code is Code.NONFINITE


def test_the_score_of_a_text_that_is_given_stands_behind_the_prompt():
    found = SimpleNamespace(prompt_logprobs=[None, table(5, -9.0), table(8, -1.0), table(9, -2.0)])
    result = scored(REQUEST, [8, 9], found)
    assert (result.token_ids, result.logprobs, result.finish_reason) == ([8, 9], [-1.0, -2.0], "length")
