"""Every setting of a row is handed to vLLM, or refused in a sentence. Needs no vLLM."""

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relabel.engine import Constraint, Sampling
from relabel.engine.vllm.sampling import Stops, refuse, sampling_fields, seed_of

STOPS = Stops(default=(2, 4, 500), end_token=4, vocab_size=400)
CHOICE = Constraint(kind="choice", value='["a", "b"]')
HANDED_OVER = {
    "max_new_tokens": (7, {"max_tokens": 7}),
    "temperature": (0.5, {"temperature": 0.5, "seed": seed_of(0, 3)}),
    "top_p": (0.5, {"top_p": 0.5}),
    "top_k": (5, {"top_k": 5}),
    "min_p": (0.5, {"min_p": 0.5}),
    "repetition_penalty": (1.5, {"repetition_penalty": 1.5}),
    "min_new_tokens": (3, {"min_tokens": 3}),
    "stop_token_ids": ([9, 400], {"stop_token_ids": [9]}),
    "stop_strings": (["x"], {"stop": ["x"], "detokenize": True}),
    "logprobs": (True, {"logprobs": 0}),
    "constraint": (CHOICE, {"stop_token_ids": [4]}),
}
"""A value of each setting, and what vLLM is told other than without it."""
ELSEWHERE = {"seed": "only rows that are drawn have one", "marks": "vLLM makes no texts of tokens"}


def fields_of(**settings):
    return sampling_fields(Sampling(**settings), 3, STOPS)


def test_the_table_above_has_every_setting():
    assert HANDED_OVER.keys() | ELSEWHERE.keys() == {field.name for field in fields(Sampling)}


@pytest.mark.parametrize("name", HANDED_OVER)
def test_a_setting_is_handed_over(name):
    value, told = HANDED_OVER[name]
    before, after = fields_of(), fields_of(**{name: value})
    assert {key: new for key, new in after.items() if before[key] != new} == told


def test_a_text_ends_with_relabels_stop_tokens_alone():
    told = fields_of()
    assert told["ignore_eos"] is True
    assert told["stop_token_ids"] == [2, 4], "those beyond the vocabulary would be refused"


def test_probabilities_are_never_those_under_a_grammar():
    """vLLM takes them behind the mask: up to 17.9 nats off. Such a text is scored once more."""
    assert fields_of(constraint=CHOICE, logprobs=True)["logprobs"] is None


def test_a_constrained_text_ends_where_its_grammar_does():
    """A token that a row names as its stop may be one of the text that its grammar describes."""
    assert fields_of(constraint=CHOICE, stop_token_ids=[70])["stop_token_ids"] == [4]


@given(st.integers(0, 2**64 - 1), st.integers(-(2**63), 2**64 - 1))
def test_a_seed_is_one_that_vllm_takes_for_one(seed, request_id):
    assert 0 <= seed_of(seed, request_id) < 2**63


def test_a_seed_depends_on_the_seed_and_on_the_draw_alone():
    assert len({seed_of(seed, draw) for seed in range(30) for draw in range(30)}) == 900
    drawn = {temperature: fields_of(temperature=temperature, seed=7)["seed"] for temperature in (0.5, 1.0)}
    assert set(drawn.values()) == {seed_of(7, 3)}


@pytest.mark.parametrize("temperature", [0.001, 2.01, 10])
def test_a_temperature_that_vllm_would_change_is_refused(temperature):
    assert "temperatures" in refuse(Sampling(temperature=temperature), STOPS, guesses=False).detail


@pytest.mark.parametrize("temperature", [0, 0.01, 1, 2])
def test_others_are_not(temperature):
    assert refuse(Sampling(temperature=temperature), STOPS, guesses=True) is None


def test_min_p_is_refused_beside_speculation():
    sampling = Sampling(temperature=1, min_p=0.1)
    assert refuse(sampling, STOPS, guesses=False) is None
    assert "min_p" in refuse(sampling, STOPS, guesses=True).detail


def test_a_constraint_needs_a_token_that_ends_a_text():
    without = Stops(default=(), end_token=None, vocab_size=400)
    assert "no token that ends" in refuse(Sampling(constraint=CHOICE), without, guesses=False).detail
