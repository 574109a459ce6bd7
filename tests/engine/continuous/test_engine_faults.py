"""What goes wrong in the continuous engine costs the row at fault: memory, numbers, tokens, images, an interrupt."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from relabel.engine import Limits, Request, Sampling
from tests.engine import inputs, models
from tests.engine.kit import POISON, SHARED, WIDE, continuous, many, poisoned


def test_a_row_that_is_not_finite_leaves_nothing_behind_in_its_slot() -> None:
    requests = inputs.text_requests(30)
    requests[4] = Request(id=4, prompt_ids=[10, POISON, 11] * 8)
    clean = continuous(models.llama()).generate(requests)
    results = continuous(poisoned(models.llama())).generate(requests)
    assert results[4].error is not None
    assert str(results[4].error).startswith("nonfinite: ")
    sound = [row for row, result in enumerate(clean) if row != 4 and POISON not in result.token_ids]
    assert len(sound) > 20
    assert [results[row] for row in sound] == [clean[row] for row in sound]


def test_a_row_that_is_not_finite_is_no_neighbour_of_rows_that_attend_with_it() -> None:
    """Prompts of about one length are padded to one; what is padded is a row's own."""
    prompts = [[POISON, *range(20, 39)], [*range(30, 51)], [*range(40, 62)]]
    requests = [Request(id=row, prompt_ids=prompt) for row, prompt in enumerate(prompts)]
    clean = continuous(models.llama(), limits=WIDE).generate(requests)
    results = continuous(poisoned(models.llama()), limits=WIDE).generate(requests)
    assert results[0].error is not None
    assert results[1:] == clean[1:]


def cramp(model: Any, *, room: int = 10**9, hates: int | None = None, once_at: int | None = None) -> list[int]:
    """The model runs out of memory above `room` tokens, with the token `hates` in a row, and in forward `once_at`.

    Returns the list of the sizes that failed.
    """
    failed: list[int] = []
    sizes: list[int] = []

    def refuse(_: Any, args: Any, kwargs: Any) -> None:
        ids = kwargs["input_ids"]
        sizes.append(ids.numel())
        is_hated = hates is not None and (ids.unfold(1, 3, 1) == hates).all(-1).any() if ids.numel() > 2 else False
        if ids.numel() > room or is_hated or len(sizes) == once_at:
            failed.append(ids.numel())
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    model.register_forward_pre_hook(refuse, with_kwargs=True)
    return failed


def test_what_does_not_fit_is_begun_again_in_smaller_company() -> None:
    requests = inputs.text_requests(40)
    expected = continuous(models.llama(), limits=WIDE).generate(requests)
    model = models.llama()
    failed = cramp(model, room=30)
    engine = continuous(model, limits=WIDE)
    assert engine.generate(requests) == expected
    assert 1 <= len(failed) == engine.goodput.num_out_of_memory <= 8


def test_rows_in_flight_alone_are_computed_again() -> None:
    requests = inputs.text_requests(40)
    expected = continuous(models.llama()).generate(requests)
    model = models.llama()
    failed = cramp(model, once_at=12)
    engine = continuous(model)
    assert engine.generate(requests) == expected
    assert len(failed) == 1
    goodput = engine.goodput
    assert 0 < goodput.wasted_tokens - goodput.drafted_tokens < goodput.useful_tokens / 4, "whatever drafts cost"


def test_a_row_that_does_not_fit_alone_is_rejected_and_the_others_are_not() -> None:
    requests = inputs.text_requests(20)
    expected = continuous(models.llama()).generate(requests)
    model = models.llama()
    cramp(model, hates=126)
    huge = Request(id=99, prompt_ids=[126] * 45)
    results = continuous(model).generate([*requests[:5], huge, *requests[5:]])
    assert results[5].error is not None
    assert str(results[5].error).startswith("out_of_memory: 45 prompt tokens")
    assert results[:5] + results[6:] == expected


def test_a_row_that_the_model_cannot_take_costs_itself() -> None:
    model = models.llava()
    requests = many(inputs.llava_requests(), 20)
    expected = continuous(model).generate(requests)
    broken = Request(id=77, prompt_ids=[5, models.IMAGE, 6], tensors=requests[1].tensors)  # 16 features, one place
    results = continuous(model).generate([*requests[:9], broken, *requests[9:]])
    assert results[9].error is not None
    assert str(results[9].error).startswith("prompt: the model cannot take it")
    assert results[:9] + results[10:] == expected


def test_a_token_that_the_model_does_not_know_costs_its_own_rows() -> None:
    model, requests = models.llama(), inputs.text_requests(12)
    expected = continuous(model).generate(requests)
    beyond = [*SHARED, models.VOCAB_SIZE + 7, *SHARED]
    broken = [Request(id=100 + row, prompt_ids=[*beyond, row + 5]) for row in range(2)]
    results = continuous(model).generate([*requests[:6], *broken, *requests[6:]])
    assert [str(result.error) for result in results[6:8]] == [
        "prompt: a token beyond the 128 that the model knows; its tokenizer belongs to another"
    ] * 2
    assert results[:6] + results[8:] == expected


def test_an_interrupted_call_leaves_an_engine_that_serves_the_next() -> None:
    model, requests = models.llama(), inputs.text_requests(30)
    expected = continuous(model).generate(requests)
    num_forwards = 0

    def interrupt(*_: Any) -> None:
        nonlocal num_forwards
        num_forwards += 1
        if num_forwards == 5:
            raise KeyboardInterrupt

    model.register_forward_pre_hook(interrupt)
    engine = continuous(model)
    with pytest.raises(KeyboardInterrupt):
        engine.generate(requests)
    engine.goodput.held_slots = engine.goodput.all_slots = 0
    assert engine.generate(requests) == expected
    assert engine.goodput.occupancy > 0.6, "no slot is held by a row of the call that was interrupted"


def test_stop_strings_of_one_row_without_a_tokenizer_cost_that_row() -> None:
    model, requests = models.llama(), inputs.text_requests(5)
    expected = continuous(model).generate(requests)
    asks = Request(id=9, prompt_ids=[5, 6], sampling=Sampling(stop_strings=["x"]))
    *others, refused = continuous(model).generate([*requests, asks])
    assert refused.error is not None
    assert str(refused.error).startswith("sampling: stop strings need")
    assert others == expected


def test_a_model_that_fails_on_every_row_fails_the_call() -> None:
    model = models.llama()

    def fail(*_: Any) -> None:
        raise ValueError("always")

    model.register_forward_pre_hook(fail)
    engine = continuous(model)
    with pytest.raises(RuntimeError, match="rows in a row failed alone"):
        engine.generate(inputs.text_requests(30))


def test_prompts_that_cannot_be_held_are_errors_of_their_rows() -> None:
    engine = continuous(models.llama(), limits=Limits(kv_tokens=60, num_slots=2, step_tokens=20))
    fits, empty, long, longer = engine.generate(
        [Request(id=row, prompt_ids=[7] * length) for row, length in enumerate((5, 0, 50, 600))]
    )
    assert fits.error is None
    assert [result.error.code for result in (empty, long, longer) if result.error] == [
        "prompt",
        "out_of_memory",
        "prompt_too_long",
    ]
    assert engine.generate([]) == []
