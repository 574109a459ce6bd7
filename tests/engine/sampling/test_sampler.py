"""Tokens follow the model's distribution and a row's own settings, and do not depend on the batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import RepetitionPenaltyLogitsProcessor

from relabel.engine import Request, Sampling, StaticEngine
from relabel.engine.sampling.draw import HEAD, draw, draw_uniforms
from relabel.engine.sampling.grammar import Grammars
from relabel.engine.sampling.sampler import Sampler
from relabel.engine.sampling.stops import StopTokens
from tests.engine import inputs, models

KINDS = {
    "plain": {},
    "top-k": {"top_k": 20},
    "top-p": {"top_p": 0.8},
    "both": {"top_k": 20, "top_p": 0.8},
    "min-p": {"min_p": 0.02},
    "penalty": {"repetition_penalty": 1.3},
}
STOP = 2


@pytest.mark.parametrize("kind", KINDS)
def test_sampled_text_does_not_depend_on_the_batch(kind: str) -> None:
    sampling = Sampling(max_new_tokens=12, temperature=0.9, seed=3, **KINDS[kind])
    model, requests = models.llama(), inputs.text_requests()

    def texts(rows: list[Request], batch_tokens: int) -> dict[int, list[int]]:
        engine = StaticEngine(model, None, sampling, batch_tokens=batch_tokens)
        return {result.id: result.token_ids for result in engine.generate(rows)}

    together = texts(requests, 100_000)
    assert len({token for row in together.values() for token in row}) > 20
    assert texts(requests[::-1], 100_000) == together
    assert texts(requests, 90) == together
    assert texts(requests[3:5], 1) == {row: together[row] for row in (3, 4)}


def test_seed_and_row_id_change_the_text() -> None:
    model, prompt = models.llama(), inputs.prompts(1)[0]

    def text(seed: int, row: int) -> list[int]:
        engine = StaticEngine(model, None, Sampling(max_new_tokens=12, temperature=2.0, seed=seed))
        return engine.generate([Request(id=row, prompt_ids=prompt)])[0].token_ids

    assert text(0, 0) == text(0, 0)
    assert len({tuple(text(seed, row)) for seed in (0, 1) for row in (0, 1, 2**63)}) == 6


def test_a_rows_numbers_are_its_own_and_begin_alike_for_any_length() -> None:
    many = draw_uniforms(7, 9, 50)
    assert np.array_equal(draw_uniforms(7, 9, 11), many[:11])
    assert not np.array_equal(draw_uniforms(7, 10, 50), many)
    assert not np.array_equal(draw_uniforms(8, 9, 50), many)


@pytest.mark.parametrize(
    ("top_k", "top_p", "min_p"),
    [
        (0, 1.0, 0.0),
        (7, 1.0, 0.0),
        (0, 0.7, 0.0),
        (12, 0.6, 0.0),
        (0, 1.0, 0.1),
        (12, 1.0, 0.2),
        (0, 0.9, 0.1),
        (9, 0.8, 0.3),
    ],
)
def test_tokens_come_as_often_as_their_probability(top_k: int, top_p: float, min_p: float) -> None:
    num_draws, temperature = 40_000, 0.8
    logits = torch.from_numpy(np.random.default_rng(0).normal(size=40, scale=2).astype(np.float32))
    uniforms = torch.from_numpy(draw_uniforms(1, 0, num_draws))
    chosen = draw(
        logits.expand(num_draws, -1), uniforms, temperature=temperature, top_p=top_p, top_k=top_k, min_p=min_p
    )

    wanted = (logits / temperature).softmax(-1).numpy()
    order = np.argsort(-wanted)
    if top_k:
        wanted[order[top_k:]] = 0
        wanted /= wanted.sum()
    before = np.cumsum(wanted[order]) - wanted[order]
    wanted[order[before >= top_p]] = 0
    wanted[wanted < min_p * wanted.max()] = 0
    wanted /= wanted.sum()
    seen = np.bincount(chosen.numpy(), minlength=40) / num_draws
    assert np.abs(seen - wanted).sum() / 2 < 0.015
    assert not seen[wanted == 0].any()


def test_one_candidate_is_greedy() -> None:
    logits, uniforms = torch.randn(5, 30, generator=torch.manual_seed(0)), torch.from_numpy(draw_uniforms(0, 0, 5))
    greedy = logits.argmax(-1)
    assert torch.equal(draw(logits, uniforms, temperature=1.0, top_p=1.0, top_k=1), greedy)
    assert torch.equal(draw(logits, uniforms, temperature=1.0, top_p=1e-6, top_k=0), greedy)


def test_a_flat_row_beyond_the_sorted_head_gets_the_tail_and_leaves_its_neighbour_alone() -> None:
    flat, steep = torch.zeros(1, 4 * HEAD), torch.zeros(1, 4 * HEAD)
    steep[0, 17] = 30.0
    uniforms = torch.tensor([0.999, 0.5])
    arguments = {"temperature": 1.0, "top_p": 0.9, "top_k": 0}
    together = draw(torch.cat([flat, steep]), uniforms, **arguments)
    assert together[0] == draw(flat, uniforms[:1], **arguments)[0]
    assert together[0] > 3 * HEAD, "the last tokens within 90 % of a flat row"
    assert together[1] == 17


def sampler(num_places: int = 1, vocab_size: int = 40) -> Sampler:
    return Sampler(num_places, StopTokens([STOP], vocab_size, torch.device("cpu")), Grammars(None, vocab_size))


def many_logits(*shape: int) -> torch.Tensor:
    return 2 * torch.randn(*shape, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize(
    "cuts", [{}, {"top_k": 3}, {"top_p": 0.5}, {"min_p": 0.3}, {"top_k": 9, "top_p": 0.9, "min_p": 0.1}]
)
def test_a_rows_temperature_and_cuts_are_those_of_its_draw(cuts: dict[str, float]) -> None:
    own, num_steps = sampler(), 40
    own.put(0, Request(id=9, prompt_ids=[1]), Sampling(max_new_tokens=num_steps, temperature=1.5, seed=1, **cuts))
    logits = many_logits(num_steps, 40)
    tokens = [int(own.choose(line[None], [0], [step])[0]) for step, line in enumerate(logits)]
    uniforms = torch.from_numpy(draw_uniforms(1, 9, num_steps))
    assert tokens == draw(logits, uniforms, temperature=1.5, **cuts).tolist()
    assert not cuts or tokens != draw(logits, uniforms, temperature=1.5).tolist()


@pytest.mark.parametrize("temperature", [0.0, 0.9])
@pytest.mark.parametrize("penalty", [0.7, 1.3])
def test_the_repetition_penalty_is_that_of_transformers(penalty: float, temperature: float) -> None:
    own, prompt, num_steps, mattered = sampler(), [3, 4, 5, 3], 30, 0
    sampling = Sampling(max_new_tokens=num_steps, temperature=temperature, repetition_penalty=penalty, seed=1)
    own.put(0, Request(id=9, prompt_ids=prompt), sampling)
    processor, text = RepetitionPenaltyLogitsProcessor(penalty), list(prompt)
    uniforms = torch.from_numpy(draw_uniforms(1, 9, num_steps))

    def choice(logits: torch.Tensor, step: int) -> int:
        return int(draw(logits, uniforms[step : step + 1], temperature=temperature) if temperature else logits.argmax())

    for step, logits in enumerate(many_logits(num_steps, 1, 40)):
        token = int(own.choose(logits, [0], [step])[0])
        assert token == choice(processor(torch.tensor([text]), logits), step)
        mattered += token != choice(logits, step)
        text.append(token)
    assert mattered > 3


@pytest.mark.parametrize("temperature", [0.0, 5.0])
@pytest.mark.parametrize("stops", [[], [7, 8]])
def test_stop_tokens_are_not_chosen_before_the_least_number_of_tokens(temperature: float, stops: list[int]) -> None:
    own, at_end = sampler(), stops or [STOP]
    sampling = Sampling(max_new_tokens=9, min_new_tokens=6, temperature=temperature, stop_token_ids=stops)
    logits = torch.zeros(1, 40)
    logits[:, at_end] = 100.0
    for row in range(20):
        own.put(0, Request(id=row, prompt_ids=[1]), sampling)
        tokens = [int(own.choose(logits, [0], [step])[0]) for step in range(9)]
        assert not set(tokens[:6]) & set(at_end)
        assert set(tokens[6:]) <= set(at_end)


OWN = [
    {},
    {"temperature": 0.8},
    {"temperature": 0.8, "seed": 4},
    {"temperature": 0.8, "top_k": 30},
    {"temperature": 0.8, "top_k": 10},
    {"temperature": 1.2, "top_p": 0.9},
    {"temperature": 4.0, "top_p": 0.95},
    {"temperature": 1.2, "top_p": 0.9, "min_p": 0.05},
    {"temperature": 1.2, "min_p": 0.1},
    {"repetition_penalty": 1.5},
    {"repetition_penalty": 0.6, "temperature": 0.8},
    {"min_new_tokens": 7},
    {"min_new_tokens": 7, "stop_token_ids": [5, 6], "temperature": 0.3},
    {"min_new_tokens": 7, "repetition_penalty": 1.2, "top_k": 9, "top_p": 0.9, "min_p": 0.1, "temperature": 1.5},
]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rows_with_settings_of_their_own_get_in_one_call_what_each_gets_alone(dtype: torch.dtype) -> None:
    vocab_size, num_steps = 3 * HEAD, 12
    samplings = [Sampling(max_new_tokens=num_steps, **own) for own in OWN]
    rows = range(len(samplings))
    logits_SRV = many_logits(num_steps, len(rows), vocab_size).to(dtype)
    logits_SRV[:, :, [STOP, 5, 6]] += 8
    alone: list[list[int]] = []
    for row, sampling in enumerate(samplings):
        one = sampler(1, vocab_size)
        one.put(0, Request(id=row, prompt_ids=[1, 2, row]), sampling)
        alone.append([int(one.choose(logits_SRV[step, row, None], [0], [step])[0]) for step in range(num_steps)])

    # rows come one after the other and stand in reverse, so that all are at steps of their own
    together, all_rows = sampler(len(rows), vocab_size), [[] for _ in rows]
    for moment in range(num_steps + len(rows) - 1):
        if moment in rows:
            together.put(len(rows) - 1 - moment, Request(id=moment, prompt_ids=[1, 2, moment]), samplings[moment])
        there = [row for row in rows if 0 <= moment - row < num_steps]
        places, steps = [len(rows) - 1 - row for row in there], [moment - row for row in there]
        tokens, _, _ = together.choose(logits_SRV[steps, there], places, steps)
        for row, token in zip(there, tokens.tolist(), strict=True):
            all_rows[row].append(token)
    assert all_rows == alone
    assert len({token for row in alone for token in row}) > 40


def test_a_new_row_knows_nothing_of_the_one_that_stood_in_its_place() -> None:
    sampling, logits = Sampling(max_new_tokens=8, repetition_penalty=2.0), many_logits(8, 1, 40)
    used, fresh = sampler(), sampler()
    used.put(0, Request(id=1, prompt_ids=list(range(20))), sampling)
    before = [int(used.choose(line, [0], [step])[0]) for step, line in enumerate(logits)]
    for one in (used, fresh):
        one.put(0, Request(id=2, prompt_ids=[30]), sampling)
    after = [int(used.choose(line, [0], [step])[0]) for step, line in enumerate(logits)]
    assert after == [int(fresh.choose(line, [0], [step])[0]) for step, line in enumerate(logits)] != before


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_rows_whose_logits_are_not_finite_are_told_and_leave_their_neighbours_alone(temperature: float) -> None:
    own = sampler(5)
    for place in range(5):
        own.put(place, Request(id=place, prompt_ids=[1]), Sampling(max_new_tokens=1, temperature=temperature))
    logits = many_logits(5, 40)
    wanted, _, _ = own.choose(logits, range(5), [0] * 5)
    logits[0, 3], logits[1, 4], logits[2], logits[3, 5] = torch.nan, torch.inf, -torch.inf, -torch.inf
    tokens, is_finite, _ = own.choose(logits, range(5), [0] * 5)
    assert is_finite.tolist() == [False, False, False, True, True]
    assert tokens[4] == wanted[4]
    assert all(0 <= token < 40 for token in tokens.tolist())


@pytest.mark.parametrize(
    "field",
    [
        {"temperature": -1}, {"top_p": 0}, {"top_p": 1.1}, {"top_k": -1}, {"seed": -1}, {"min_p": -0.1}, {"min_p": 1.1},
        {"repetition_penalty": 0}, {"min_new_tokens": -1}, {"min_new_tokens": 257}, {"max_new_tokens": 0},
    ],
)  # fmt: skip
def test_settings_without_a_meaning_are_refused(field: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(field))):
        Sampling(**field)
