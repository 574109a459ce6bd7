"""Drafts save steps and change no text, whatever a row's settings and however many of them are wrong."""

from __future__ import annotations

import pytest
import torch

from relabel.engine import Limits, Request, Result, Sampling
from relabel.engine.continuous.drafter import Drafter
from relabel.engine.runner.kernels import Kernels
from tests.engine import bound, inputs, models
from tests.engine.drafting import always, never
from tests.engine.kit import FAMILIES, GREEDY, NEW, PLAIN, STOP, continuous, many
from tests.engine.runner.stand_ins import FLASH

LIMITS = Limits(kv_tokens=2000, num_slots=8, step_tokens=200)
LONG = Sampling(max_new_tokens=48, stop_token_ids=[127])
"""A tiny model with random weights begins to repeat itself after some tokens, and so its own text tells what comes."""


def same(results: list[Result], wanted: list[Result]) -> None:
    """Equal, and log-probabilities within the noise of float32."""
    for result, one in zip(results, wanted, strict=True):
        assert (result.id, result.token_ids, result.finish_reason) == (one.id, one.token_ids, one.finish_reason)
        if one.logprobs is not None:
            assert result.logprobs == pytest.approx(one.logprobs, abs=1e-4)


MANY = Limits(kv_tokens=8000, num_slots=40, step_tokens=400)


@pytest.mark.parametrize("limits", [LIMITS, MANY], ids=["few rows together", "rows by the width of their drafts"])
@pytest.mark.parametrize("family", FAMILIES)
def test_texts_with_drafts_equal_texts_without(family: str, limits: Limits) -> None:
    build, make_requests = FAMILIES[family]
    model, requests = build(), many(make_requests(), 40)
    plain, drafting = (continuous(model, LONG, limits, drafter=drafter) for drafter in (never(), always()))
    wanted = plain.generate(requests)
    same(drafting.generate(requests), wanted)
    goodput = drafting.goodput
    assert plain.goodput.drafted_tokens == 0
    assert 0 < goodput.accepted_tokens < goodput.drafted_tokens
    assert goodput.wasted_tokens == goodput.drafted_tokens - goodput.accepted_tokens
    assert goodput.useful_tokens == plain.goodput.useful_tokens
    assert goodput.num_forwards < plain.goodput.num_forwards


SETTINGS = {
    "sampled": {"temperature": 0.05, "seed": 5},
    "cut": {"temperature": 0.1, "top_p": 0.9, "min_p": 0.01},
    "no end before": {"min_new_tokens": 30, "stop_token_ids": STOP},
    "log-probabilities": {"logprobs": True, "stop_token_ids": STOP},
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_settings_hold_for_each_token_of_a_draft(setting: str) -> None:
    model, requests = models.llama(), inputs.text_requests(24)
    sampling = Sampling(**{"max_new_tokens": 48, "stop_token_ids": [127], **SETTINGS[setting]})
    plain, drafting = (continuous(model, sampling, LIMITS, drafter=drafter) for drafter in (never(), always()))
    same(drafting.generate(requests), plain.generate(requests))
    assert drafting.goodput.accepted_tokens > 0


def test_a_row_with_a_penalty_is_not_drafted_for() -> None:
    sampling = Sampling(max_new_tokens=48, stop_token_ids=[127], repetition_penalty=1.01)
    engine = continuous(models.llama(), sampling, LIMITS, drafter=always())
    engine.generate(inputs.text_requests(8))
    assert engine.goodput.drafted_tokens == 0


def test_a_stop_string_ends_a_row_in_the_middle_of_a_draft() -> None:
    model, tokenizer, requests = models.llama(), models.tokenizer(), inputs.text_requests(20)
    texts = [tokenizer.decode(row.token_ids) for row in continuous(model, LONG, LIMITS).generate(requests)]
    # of texts that repeat themselves by then, so that they are drafted
    repeated = [text for text in texts if len(text) == 48 and text[-9:-6] in text[:-9]]
    strings = [text[at : at + 3] for at, text in zip(range(30, 44), repeated, strict=False)]
    for least in (0, 29):
        sampling = Sampling(max_new_tokens=48, stop_token_ids=[127], stop_strings=strings, min_new_tokens=least)
        plain, drafting = (
            continuous(model, sampling, LIMITS, tokenizer, drafter=drafter) for drafter in (never(), always())
        )
        results = drafting.generate(requests)
        same(results, plain.generate(requests))
        assert {result.finish_reason for result in results} >= {"stop"}
    goodput = drafting.goodput
    assert goodput.wasted_tokens > goodput.drafted_tokens - goodput.accepted_tokens, "some were accepted behind an end"


@pytest.mark.parametrize("constraint", [bound.JSON, bound.REGEX, bound.CHOICE], ids=["json", "regex", "choice"])
def test_what_a_grammar_forces_is_taken_in_one_step(constraint) -> None:
    model, requests = models.llama(), inputs.text_requests(12)
    sampling = Sampling(**{**bound.LONG, "constraint": constraint})
    plain, drafting = (
        continuous(model, sampling, LIMITS, models.tokenizer(), drafter=drafter) for drafter in (never(), always())
    )
    same(drafting.generate(requests), plain.generate(requests))
    if constraint is bound.JSON:
        assert drafting.goodput.num_forwards < 0.7 * plain.goodput.num_forwards


def test_rows_with_a_grammar_do_not_depend_on_company_with_drafts() -> None:
    kinds = [bound.JSON, None, bound.REGEX, bound.CHOICE]
    requests = [
        Request(
            id=row,
            prompt_ids=prompt,
            sampling=Sampling(**{**bound.LONG, "temperature": float(row % 3)}, constraint=kinds[row % 4]),
        )
        for row, prompt in enumerate(inputs.prompts(24))
    ]
    plain, drafting = (
        continuous(models.llama(), LONG, LIMITS, models.tokenizer(), drafter=drafter) for drafter in (never(), always())
    )
    wanted = plain.generate(requests)
    same(drafting.generate(requests), wanted)
    same(drafting.generate(requests[::-1]), wanted[::-1])


def test_a_text_that_is_given_is_scored_in_few_steps() -> None:
    model, scored = models.llama(), Sampling(max_new_tokens=48, logprobs=True)
    text = [token for prompt in inputs.prompts(20) for token in prompt][:45]
    requests = [
        Request(id=row, prompt_ids=prompt, forced_ids=text[row:], sampling=scored)
        for row, prompt in enumerate(inputs.prompts(6))
    ]
    plain, drafting = (continuous(model, GREEDY, LIMITS, drafter=drafter) for drafter in (never(), always()))
    results = drafting.generate(requests)
    same(results, plain.generate(requests))
    assert [result.token_ids for result in results] == [text[row:] for row in range(6)]
    assert drafting.goodput.drafted_tokens == drafting.goodput.accepted_tokens
    assert drafting.goodput.num_forwards <= 5 < plain.goodput.num_forwards


class Wrong(Drafter):
    """Drafts tokens that do not come, for every row and step."""

    def _draft(self, number, sequence, sampler, paying):
        tokens = super()._draft(number, sequence, sampler, paying)
        return [(token + 1) % 120 for token in tokens]


def test_drafts_that_are_all_wrong_change_nothing() -> None:
    model, requests = models.llama(), inputs.text_requests(24)
    wanted = continuous(model, LONG, LIMITS, drafter=never()).generate(requests)
    drafting = continuous(model, LONG, LIMITS, drafter=Wrong(always()._costs))
    same(drafting.generate(requests), wanted)
    assert drafting.goodput.drafted_tokens > 0 == drafting.goodput.accepted_tokens


def test_a_row_that_begins_again_after_a_failure_is_drafted_for_anew() -> None:
    model, requests = models.llama(), inputs.text_requests(24)
    wanted = continuous(model, LONG, LIMITS, drafter=never()).generate(requests)
    drafting, num_calls = continuous(model, LONG, LIMITS, drafter=always()), 0

    def fail(*_: object) -> None:
        nonlocal num_calls
        num_calls += 1
        if num_calls in (9, 14):
            raise torch.OutOfMemoryError("out of memory")

    model.register_forward_pre_hook(fail)
    same(drafting.generate(requests), wanted)
    assert drafting.goodput.num_out_of_memory == 2
    assert drafting.goodput.accepted_tokens > 0


@pytest.mark.parametrize("family", PLAIN)
def test_the_flash_kernel_takes_drafts_as_spans(family: str) -> None:
    build, make_requests = FAMILIES[family]
    model, requests = build(), many(make_requests(), 16)
    wanted = continuous(model, LONG, LIMITS, drafter=never()).generate(requests)
    drafting = continuous(model, LONG, LIMITS, kernels=Kernels(flash=FLASH, capture=None), drafter=always())
    same(drafting.generate(requests), wanted)
    assert drafting.goodput.accepted_tokens > 0


def test_drafts_that_do_not_pay_are_given_up() -> None:
    """Where nothing is copied, wrong drafts are few."""
    model = models.llama()
    requests = [Request(id=row, prompt_ids=prompt) for row, prompt in enumerate(inputs.prompts(40))]
    sampling = Sampling(max_new_tokens=NEW, temperature=1.5, stop_token_ids=STOP)
    engine = continuous(model, sampling, LIMITS)
    engine.generate(requests)
    assert engine.goodput.drafted_tokens < 0.05 * engine.goodput.useful_tokens
