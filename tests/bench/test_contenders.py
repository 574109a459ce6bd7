"""All ways to generate give the same tokens: what is compared is speed alone."""

from __future__ import annotations

import pytest
import torch

from relabel.bench.contenders import NUM_ALONE, generate_batch, make_contenders, padded
from relabel.bench.model import Model
from relabel.bench.workload import make_workload
from relabel.engine import Request
from tests.engine import inputs, models


@pytest.fixture(scope="module")
def model(tiny_model):
    return Model.load(tiny_model, torch.float32, torch.device("cpu"))


@pytest.mark.parametrize("name", ["ragged", "300/50"])
def test_all_agree_with_rows_alone_in_float32(model, name):
    workload = make_workload(name, 5, models.VOCAB_SIZE)
    alone = [
        models.generate_alone(model.plain, Request(id=0, prompt_ids=prompt), workload.new_tokens, workload.stop)
        for prompt in workload.prompts
    ]
    assert len(set(map(tuple, alone))) == 5
    contenders = make_contenders(model, workload)
    assert [contender.name for contender in contenders] == [
        "one_by_one",
        "padded_64",
        "padded_64_by_length",
        "static",
        "continuous",
        "generate_batch",
    ]
    for contender in contenders:
        assert contender.generate(workload.prompts) == alone, contender.name


def test_fixed_workloads_give_exactly_as_many_tokens_as_they_name(model):
    workload = make_workload("128/128", 3, models.VOCAB_SIZE)
    assert [len(output) for output in make_contenders(model, workload)[-2].generate(workload.prompts)] == [128] * 3


def test_the_engines_run_as_their_names_say(model):
    engines = {each.name: each.engine for each in make_contenders(model, make_workload("ragged", 2, 128))}
    assert engines["static"].verdict.batching == "static"
    assert engines["continuous"].verdict.batching == "continuous"


def test_only_the_slowest_way_is_given_fewer_rows_and_only_another_project_may_fail(model):
    contenders = make_contenders(model, make_workload("ragged", 2, 128))
    assert {each.name: each.num_rows for each in contenders if each.num_rows} == {"one_by_one": NUM_ALONE}
    assert [each.name for each in contenders if each.may_fail] == ["generate_batch"]


def test_batches_by_length_come_back_in_the_order_of_the_prompts(model):
    prompts = inputs.prompts(7)
    ways = [{"batch_size": 2}, {"batch_size": 2, "by_length": True}, {"batch_size": 1}]
    outputs = [padded(model.plain, prompts, stop=[5], new_tokens=6, **way) for way in ways]
    assert outputs[0] == outputs[1] == outputs[2]


def test_generate_batch_serves_more_rows_than_it_holds_at_once(model):
    prompts = inputs.prompts(70, seed=4, longest=8)
    expected = padded(model.plain, prompts, stop=[5], new_tokens=4, batch_size=64)
    assert generate_batch(model.plain, prompts, stop=[5], new_tokens=4) == expected


def test_generate_batch_that_cannot_start_leaves_the_model_as_it_was(tiny_model):
    model = Model.load(tiny_model, torch.float32, torch.device("cpu")).plain
    model.set_attn_implementation("eager")
    with pytest.raises(MemoryError):
        generate_batch(model, [[5, 6, 7]], stop=[5], new_tokens=10**9)
    assert model.config._attn_implementation == "eager"
