"""Sampled text follows the model's distribution and does not depend on the batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from relabel.engine import Request, Sampling, StaticEngine
from relabel.engine.sampling import HEAD, draw, draw_uniforms
from tests.engine import models

KINDS = {
    "plain": {},
    "top-k": {"top_k": 20},
    "top-p": {"top_p": 0.8},
    "both": {"top_k": 20, "top_p": 0.8},
}


@pytest.mark.parametrize("kind", KINDS)
def test_sampled_text_does_not_depend_on_the_batch(kind: str) -> None:
    sampling = Sampling(max_new_tokens=12, temperature=0.9, seed=3, **KINDS[kind])
    model, requests = models.llama(), models.text_requests()

    def texts(rows: list[Request], batch_tokens: int) -> dict[int, list[int]]:
        engine = StaticEngine(model, None, sampling, batch_tokens=batch_tokens)
        return {result.id: result.token_ids for result in engine.generate(rows)}

    together = texts(requests, 100_000)
    assert len({token for row in together.values() for token in row}) > 20
    assert texts(requests[::-1], 100_000) == together
    assert texts(requests, 90) == together
    assert texts(requests[3:5], 1) == {row: together[row] for row in (3, 4)}


def test_seed_and_row_id_change_the_text() -> None:
    model, prompt = models.llama(), models.prompts(1)[0]

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


@pytest.mark.parametrize(("top_k", "top_p"), [(0, 1.0), (7, 1.0), (0, 0.7), (12, 0.6)])
def test_tokens_come_as_often_as_their_probability(top_k: int, top_p: float) -> None:
    num_draws, temperature = 40_000, 0.8
    logits = torch.from_numpy(np.random.default_rng(0).normal(size=40, scale=2).astype(np.float32))
    uniforms = torch.from_numpy(draw_uniforms(1, 0, num_draws))
    chosen = draw(logits.expand(num_draws, -1), uniforms, temperature=temperature, top_p=top_p, top_k=top_k)

    wanted = (logits / temperature).softmax(-1).numpy()
    order = np.argsort(-wanted)
    if top_k:
        wanted[order[top_k:]] = 0
        wanted /= wanted.sum()
    before = np.cumsum(wanted[order]) - wanted[order]
    wanted[order[before >= top_p]] = 0
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


@pytest.mark.parametrize("field", [{"temperature": -1}, {"top_p": 0}, {"top_p": 1.1}, {"top_k": -1}, {"seed": -1}])
def test_settings_without_a_meaning_are_refused(field: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(field))):
        Sampling(**field)
