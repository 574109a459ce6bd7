"""A row's greedy text is the same in a padded batch as alone, for attention of every kind (float32, so exactly)."""

from __future__ import annotations

import pytest

from relabel.engine import Request, Sampling, StaticEngine
from tests.engine import inputs, models
from tests.engine.kit import FAMILIES, NEW, STOP


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("batch_tokens", [100_000, 110], ids=["one batch", "several batches"])
def test_batched_text_equals_text_alone(family: str, batch_tokens: int) -> None:
    build, make_requests = FAMILIES[family]
    model, requests = build(), make_requests()
    alone = [models.generate_alone(model, request, NEW, STOP) for request in requests]
    assert len({token for row in alone for token in row}) > 20, "the model repeats itself: equality would mean nothing"
    assert len({len(row) for row in alone}) > 1, "no row stops early"

    engine = StaticEngine(model, None, Sampling(max_new_tokens=NEW, stop_token_ids=STOP), batch_tokens=batch_tokens)
    results = engine.generate(requests)

    assert [result.token_ids for result in results] == alone
    assert [result.finish_reason for result in results] == ["stop" if len(row) < NEW else "length" for row in alone]
    assert (engine.goodput.num_batches == 1) == (batch_tokens == 100_000)


@pytest.mark.parametrize("family", ["llama", "mistral", "gemma2", "gpt_oss", "llava", "smolvlm"])
def test_ended_rows_are_left_behind_and_the_others_go_on_unchanged(family: str) -> None:
    build, make_requests = FAMILIES[family]
    model, requests, stop = build(), make_requests(), list(range(3, 128, 5))
    alone = [models.generate_alone(model, request, NEW, stop) for request in requests]
    sizes: list[int] = []
    model.register_forward_pre_hook(lambda _, args, kwargs: sizes.append(len(kwargs["input_ids"])), with_kwargs=True)
    engine = StaticEngine(model, None, Sampling(max_new_tokens=NEW, stop_token_ids=stop))
    assert [result.token_ids for result in engine.generate(requests)] == alone
    assert sizes[0] == len(requests)
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] <= len(requests) // 2
    assert max(map(len, alone)) > 3, "every row ends at once: nothing went on"


def test_rows_of_a_model_with_a_running_state_are_never_padded() -> None:
    model, requests = models.mamba2(), inputs.text_requests(6)
    requests += [Request(id=100 + request.id, prompt_ids=request.prompt_ids[::-1]) for request in requests]
    alone = [models.generate_alone(model, request, NEW, STOP) for request in requests]
    assert len({token for row in alone for token in row}) > 20
    engine = StaticEngine(model, None, Sampling(max_new_tokens=NEW, stop_token_ids=STOP))
    assert [result.token_ids for result in engine.generate(requests)] == alone
    assert engine.goodput.padded_tokens == 0
    assert engine.goodput.num_batches < len(requests)


def test_the_order_of_rows_is_kept() -> None:
    model, requests = models.llama(), inputs.text_requests()
    engine = StaticEngine(model, None, Sampling(max_new_tokens=NEW))
    forward = {result.id: result.token_ids for result in engine.generate(requests)}
    backward = engine.generate(requests[::-1])
    assert [result.id for result in backward] == [request.id for request in requests[::-1]]
    assert {result.id: result.token_ids for result in backward} == forward


def test_defaults_of_the_checkpoint_do_not_leak() -> None:
    plain, spiced = models.llama(), models.llama()
    spiced.generation_config.update(do_sample=True, temperature=3.0, repetition_penalty=5.0, suppress_tokens=[30, 31])
    sampling, requests = Sampling(max_new_tokens=NEW), inputs.text_requests()
    assert StaticEngine(spiced, None, sampling).generate(requests) == StaticEngine(plain, None, sampling).generate(
        requests
    )


def test_an_empty_call_gives_nothing_and_an_empty_prompt_an_error() -> None:
    engine = StaticEngine(models.llama(), None, Sampling(max_new_tokens=NEW))
    assert engine.generate([]) == []
    (result,) = engine.generate([Request(id=0, prompt_ids=[])])
    assert result.error is not None
    assert str(result.error).startswith("prompt: ")
