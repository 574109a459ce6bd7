"""The continuous engine: a row's text is what it is alone, whatever shares the cache, and every slot is used again."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import torch

from relabel.engine import ContinuousEngine, Limits, Request, Sampling, StaticEngine
from tests.engine import inputs, models
from tests.engine.kit import FAMILIES, FEW, GREEDY, NEW, SHARED, STOP, WIDE, continuous, ids, many, with_prefix


@pytest.mark.parametrize("family", FAMILIES)
def test_64_rows_through_8_slots_equal_rows_alone(family: str) -> None:
    build, make_requests = FAMILIES[family]
    model = build()
    requests = inputs.text_requests(64) if make_requests is inputs.text_requests else many(make_requests())
    distinct = {(tuple(request.prompt_ids), id(request.tensors)): request for request in requests}
    alone = {key: models.generate_alone(model, request, NEW, STOP) for key, request in distinct.items()}
    assert len({token for row in alone.values() for token in row}) > 20, "the model repeats itself"
    assert len({len(row) for row in alone.values()}) > 1, "no row stops early"

    engine = continuous(model)
    results = engine.generate(requests)

    expected = [alone[tuple(request.prompt_ids), id(request.tensors)] for request in requests]
    assert [result.token_ids for result in results] == expected
    assert [result.finish_reason for result in results] == ["stop" if len(row) < NEW else "length" for row in expected]
    goodput = engine.goodput
    assert (goodput.padded_tokens, goodput.wasted_tokens) == (0, goodput.drafted_tokens - goodput.accepted_tokens)
    assert goodput.occupancy > 0.6
    assert goodput.output_tokens == sum(map(len, expected))


@pytest.mark.parametrize("family", ["llama", "mistral", "gemma2", "gpt_oss"])
def test_long_rows_beside_short_ones_equal_rows_alone(family: str) -> None:
    """Blocks of the cache hold 64 tokens: many rows go over an edge, and some read three blocks beside others' one."""
    build, _ = FAMILIES[family]
    model = build()
    text = [token for prompt in inputs.prompts(60) for token in prompt]
    lengths = [5, 40, 60, 62, 63, 64, 100, 120, 126, 127, 128, 129, 150]
    requests = [Request(id=row, prompt_ids=text[row : row + length]) for row, length in enumerate(lengths)]
    sampling = Sampling(max_new_tokens=12, stop_token_ids=STOP[:1])
    alone = [models.generate_alone(model, request, 12, STOP[:1]) for request in requests]
    assert len({token for row in alone for token in row}) > 20, "the model repeats itself"

    limits = Limits(kv_tokens=2000, num_slots=8, step_tokens=100)
    assert [result.token_ids for result in continuous(model, sampling, limits).generate(requests)] == alone


def test_the_models_own_attention_is_back_after_a_call() -> None:
    for build in (models.llama, models.llava):
        model, (request, *_) = build(), inputs.text_requests()
        before = models.generate_alone(model, request, NEW, STOP)
        continuous(model).generate([request])
        assert models.generate_alone(model, request, NEW, STOP) == before
        assert model.config.get_text_config()._attn_implementation == "sdpa"


@pytest.mark.parametrize("step_tokens", [9, 48], ids=["prefix in pieces", "prefix at once"])
@pytest.mark.parametrize("family", ["llama", "mistral", "gemma2"])
def test_a_shared_prefix_is_computed_once_and_changes_no_text(family: str, step_tokens: int) -> None:
    model, requests = FAMILIES[family][0](), with_prefix(20)
    alone = [models.generate_alone(model, request, NEW, STOP) for request in requests]
    engine = continuous(model, limits=Limits(kv_tokens=1000, num_slots=8, step_tokens=step_tokens))
    assert [result.token_ids for result in engine.generate(requests[:12])] == alone[:12]
    assert engine.goodput.shared_tokens >= 12 * len(SHARED)
    computed = engine.goodput.useful_tokens + engine.goodput.wasted_tokens
    sizes: list[int] = []
    model.register_forward_pre_hook(lambda _, args, kwargs: sizes.append(kwargs["input_ids"].numel()), with_kwargs=True)
    assert [result.token_ids for result in engine.generate(requests[12:])] == alone[12:]
    now = engine.goodput
    assert sum(sizes) == now.useful_tokens + now.wasted_tokens - computed, "the prefix of the first served the second"


def test_rows_with_images_share_the_text_before_them() -> None:
    model = models.llava()
    requests = [
        Request(id=row, prompt_ids=[*SHARED, *request.prompt_ids], tensors=request.tensors)
        for row, request in enumerate(inputs.llava_requests())
    ]
    alone = [models.generate_alone(model, request, NEW, STOP) for request in requests]
    engine = continuous(model)
    assert [result.token_ids for result in engine.generate(requests)] == alone
    assert engine.goodput.shared_tokens == len(requests) * len(SHARED)


SAMPLED = {
    "plain": {},
    "top-k and top-p": {"top_k": 20, "top_p": 0.8},
    "min-p": {"min_p": 0.1},
    "penalty and a least length": {"repetition_penalty": 1.3, "min_new_tokens": 5},
}


@pytest.mark.parametrize("kind", SAMPLED)
def test_sampled_text_is_a_rows_own_in_any_order_slots_engine_and_company(kind: str) -> None:
    model, requests = models.llama(), inputs.text_requests(40)
    sampling = Sampling(max_new_tokens=NEW, temperature=0.9, seed=3, stop_token_ids=STOP, **SAMPLED[kind])
    texts = ids(continuous(model, sampling), requests)
    assert len({token for text in texts.values() for token in text}) > 20
    assert ids(continuous(model, sampling), requests[::-1]) == texts
    assert ids(continuous(model, sampling, Limits(kv_tokens=200, num_slots=3, step_tokens=7)), requests) == texts
    assert ids(continuous(model, sampling, WIDE), requests) == texts
    assert ids(StaticEngine(model, None, sampling), requests) == texts
    resumed = continuous(model, sampling)
    assert {**ids(resumed, requests[25:]), **ids(resumed, requests[:25])} == texts
    if "min_new_tokens" in SAMPLED[kind]:
        assert min(map(len, texts.values())) == 5


def test_a_row_may_have_settings_of_its_own() -> None:
    model, (first, second, third, *_) = models.llama(), inputs.text_requests()
    own = [
        Request(id=0, prompt_ids=first.prompt_ids, sampling=Sampling(max_new_tokens=3, stop_token_ids=[127])),
        Request(id=1, prompt_ids=second.prompt_ids, sampling=Sampling(max_new_tokens=9, temperature=1.5, seed=8)),
        Request(id=2, prompt_ids=third.prompt_ids),
    ]
    for make in (lambda: continuous(model), lambda: StaticEngine(model, None, GREEDY)):
        together = make().generate(own)
        assert [make().generate([request])[0] for request in own] == together
        assert len(together[0].token_ids) == 3
        assert together[2].token_ids == models.generate_alone(model, third, NEW, STOP)
    assert continuous(model).generate(own) == StaticEngine(model, None, GREEDY).generate(own)


class Haunted(ContinuousEngine):
    """Fills every block with NaN as soon as no row holds it."""

    def _drop(self, number: int, result: Any) -> None:
        super()._drop(number, result)
        self.haunt()

    @torch.inference_mode()
    def haunt(self) -> None:
        kv_cache, taken = self._runner.kv_cache, self._scheduler._room._blocks._taken
        for tensor in (*kv_cache.keys.values(), *kv_cache.values.values()):
            tensor[[block for block in range(len(tensor)) if block not in taken]] = torch.nan


@pytest.mark.parametrize("family", FAMILIES)
def test_unused_memory_of_the_cache_changes_nothing(family: str) -> None:
    build, make_requests = FAMILIES[family]
    model, requests = build(), many(make_requests(), 24)
    expected = continuous(model).generate(requests)
    engine = Haunted(model, None, GREEDY, limits=FEW)
    engine.generate(requests[:4])
    engine.haunt()
    assert engine.generate(requests) == expected


def test_stop_strings_end_a_row_as_in_the_static_engine() -> None:
    model, tokenizer, requests = models.llama(), models.tokenizer(), inputs.text_requests(20)
    free = Sampling(max_new_tokens=NEW, stop_token_ids=[127])
    texts = [tokenizer.decode(row.token_ids) for row in continuous(model, free).generate(requests)]
    strings = (texts[0][1:4], texts[8][4:7])
    assert all(len(string) == 3 for string in strings)
    for least in (0, 6):
        sampling = Sampling(max_new_tokens=NEW, stop_token_ids=[127], stop_strings=strings, min_new_tokens=least)
        results = continuous(model, sampling, tokenizer=tokenizer).generate(requests)
        assert results == StaticEngine(model, tokenizer, sampling).generate(requests)
        assert {result.finish_reason for result in results} == {"stop", "length"}
        assert min(len(result.token_ids) for result in results) >= least


def test_looking_one_forward_late_changes_no_text_and_counts_what_was_wasted() -> None:
    model, requests = models.llama(), inputs.text_requests(40)
    expected = continuous(model).generate(requests)
    engine = continuous(model)
    engine._is_late, engine._drafter = True, None
    assert engine.generate(requests) == expected
    ended_early = sum(result.finish_reason == "stop" for result in expected)
    assert 0 < engine.goodput.wasted_tokens <= ended_early


def test_calls_from_several_threads_share_the_slots_and_get_their_own_rows() -> None:
    model, requests = models.llama(), inputs.text_requests(60)
    expected = ids(continuous(model), requests)
    engine, got = continuous(model), {}
    threads = [
        threading.Thread(target=lambda part=part: got.update(ids(engine, requests[part::3]))) for part in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert got == expected


@pytest.mark.parametrize("is_late", [False, True])
def test_a_row_that_is_put_back_has_the_text_that_it_would_have_had(is_late: bool) -> None:
    """Rows that end with their first token let more in than find room when they go on."""
    model, text = models.llama(), [token for prompt in inputs.prompts(60) for token in prompt]
    brief = Sampling(max_new_tokens=200, stop_token_ids=list(range(128)))
    long = Sampling(max_new_tokens=200, temperature=0.9, seed=5, stop_token_ids=[127])
    requests = [Request(id=row, prompt_ids=text[9 * row : 9 * row + 50]) for row in range(8)]
    expected = continuous(model, long, Limits(kv_tokens=20_000, num_slots=8, step_tokens=512)).generate(requests)
    engine = continuous(model, long, Limits(kv_tokens=14 * 64, num_slots=8, step_tokens=512))
    engine._is_late = is_late
    if is_late:
        engine._drafter = None
    engine.generate([Request(id=99 + row, prompt_ids=text[:9], sampling=brief) for row in range(8)])
    before = engine.goodput.wasted_tokens
    assert engine.generate(requests) == expected
    assert engine.goodput.wasted_tokens - before > 50
