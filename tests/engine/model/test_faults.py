"""A row that cannot be labelled costs itself: logits that are not finite, too little memory, too long a prompt."""

from __future__ import annotations

import weakref
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from relabel.engine import Goodput, Request, Sampling, StaticEngine
from relabel.engine.model.faults import is_device_fault, is_out_of_memory
from relabel.engine.sampling.grammar import Grammars
from relabel.engine.sampling.sampler import Sampler
from relabel.engine.sampling.stops import StopTokens
from relabel.engine.static.callbacks import BatchState, SamplerCallback
from tests.engine import inputs, models
from tests.engine.kit import POISON, poisoned

GREEDY = Sampling(max_new_tokens=8)


class SmallMemory(LlamaForCausalLM):
    """A llama for at most `room` padded tokens at a time; remembers what it was given and could not hold."""

    room, error = 10**9, torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__(config)
        self.refused: list[weakref.ref[torch.Tensor]] = []
        self.kept_alive = 0

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        self.kept_alive += sum(reference() is not None for reference in self.refused)
        ids = kwargs["input_ids"]
        if ids.numel() > self.room:
            self.refused.append(weakref.ref(kwargs["attention_mask"]))
            raise type(self.error)(*self.error.args)
        return super().forward(*args, **kwargs)


class DislikesPadding(LlamaForCausalLM):
    """A llama whose attention gives NaN on padded rows, as some kernels do."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        output = super().forward(*args, **kwargs)
        if kwargs.get("attention_mask") is not None:
            output.logits[kwargs["attention_mask"][:, 0] == 0] = torch.nan
        return output


def same_weights(kind: Any) -> Any:
    model = kind(LlamaConfig(**models.TEXT))
    model.load_state_dict(models.llama().state_dict())
    return model.eval()


@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_a_row_that_is_not_finite_is_rejected_and_its_neighbours_are_unharmed(temperature: float) -> None:
    sampling = Sampling(max_new_tokens=8, temperature=temperature)
    requests = inputs.text_requests()
    bad = [2, 5]
    requests = [Request(id=row.id, prompt_ids=[*row.prompt_ids, POISON]) if row.id in bad else row for row in requests]
    clean = StaticEngine(models.llama(), None, sampling).generate(requests)
    results = StaticEngine(poisoned(models.llama()), None, sampling).generate(requests)
    untouched = [row for row in range(len(requests)) if row not in bad and POISON not in clean[row].token_ids]
    assert len(untouched) > 8
    assert [results[row] for row in untouched] == [clean[row] for row in untouched]
    for row in bad:
        assert str(results[row].error) == "nonfinite: the model's logits are not finite numbers"
        assert results[row].finish_reason is None


def test_a_row_that_fails_only_when_padded_gets_a_second_try_alone() -> None:
    requests = inputs.text_requests()
    assert len({len(request.prompt_ids) for request in requests}) > 5
    expected = StaticEngine(models.llama(), None, GREEDY).generate(requests)
    assert StaticEngine(same_weights(DislikesPadding), None, GREEDY).generate(requests) == expected


@pytest.mark.parametrize(
    ("logits", "flagged"),
    [
        ([0.0, torch.nan, 1.0], True),
        ([0.0, torch.inf, 1.0], True),
        ([-torch.inf] * 3, True),
        ([-torch.inf, 0.0, -torch.inf], False),
    ],
)
def test_what_counts_as_not_finite(logits: list[float], flagged: bool) -> None:
    state = BatchState([GREEDY, GREEDY], torch.device("cpu"))
    sampler = Sampler(2, StopTokens((), 3, torch.device("cpu")), Grammars(None, 3))
    for row in (0, 1):
        sampler.put(row, Request(id=row, prompt_ids=[0]), GREEDY)
    SamplerCallback(state, sampler, Goodput())(torch.zeros(2, 1), torch.tensor([logits, [1.0, 2.0, 3.0]]))
    assert state.nonfinite.tolist() == [flagged, False]


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
        RuntimeError("[enforce fail] not enough memory: you tried to allocate 8 bytes"),
    ],
    ids=["cuda", "cpu", "cpu of windows"],
)
def test_a_batch_that_does_not_fit_is_split_and_the_bound_is_remembered(error: RuntimeError) -> None:
    requests = inputs.text_requests(24)
    expected = StaticEngine(models.llama(), None, GREEDY).generate(requests)
    model = same_weights(SmallMemory)
    model.room, model.error = 60, error
    engine = StaticEngine(model, None, GREEDY)

    assert engine.generate(requests) == expected
    first_time = engine.goodput.num_out_of_memory
    assert first_time > 1
    assert model.kept_alive == 0, "tensors of a failed batch were still held in the next one"

    assert engine.generate(requests) == expected
    assert engine.goodput.num_out_of_memory - first_time < first_time, "the bound was forgotten"


def test_a_row_that_cannot_fit_alone_is_rejected_and_the_others_go_on() -> None:
    requests = inputs.text_requests()
    huge = Request(id=99, prompt_ids=[7] * 200)
    expected = StaticEngine(models.llama(), None, GREEDY).generate(requests)
    model = same_weights(SmallMemory)
    model.room = 150
    results = StaticEngine(model, None, GREEDY).generate([*requests[:4], huge, *requests[4:]])
    assert str(results.pop(4).error) == "out_of_memory: 200 prompt tokens did not fit alone"
    assert results == expected


def test_any_other_error_of_the_device_is_raised() -> None:
    model = same_weights(SmallMemory)
    model.room, model.error = 10, RuntimeError("CUDA error: device-side assert triggered")
    with pytest.raises(RuntimeError, match="device-side assert"):
        StaticEngine(model, None, GREEDY).generate(inputs.text_requests())
    assert not is_out_of_memory(ValueError("can't allocate memory"))


def test_a_prompt_beyond_the_models_positions_is_rejected() -> None:
    fits, too_long = (Request(id=row, prompt_ids=[7] * length) for row, length in enumerate((504, 505)))
    results = StaticEngine(models.llama(), None, GREEDY).generate([fits, too_long])
    assert results[0].error is None
    assert str(results[1].error) == "prompt_too_long: 505 tokens, and the model takes 504 beside 8 new ones"


def test_a_lost_device_is_told_from_a_full_one() -> None:
    assert is_device_fault(RuntimeError("CUDA error: device-side assert triggered"))
    assert not is_device_fault(RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"))
    assert not is_device_fault(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert is_out_of_memory(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)"))


def test_an_engine_whose_processes_died_is_a_lost_device() -> None:
    """Told by its name: whoever counts deaths imports no vLLM."""
    assert is_device_fault(type("EngineDeadError", (Exception,), {})())
    assert not is_device_fault(Exception("EngineDeadError"))
