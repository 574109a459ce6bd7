"""A spec in the settings of vLLM."""

import pytest

from relabel import make_spec
from relabel.job.engines.vllm import settings_of
from tests.spec.test_spec import MINIMAL


def settings(**sections):
    model = {**MINIMAL["model"], "engine": "vllm", **sections.pop("model", {})}
    return settings_of(make_spec({**MINIMAL, "model": model, **sections}))


def test_the_gpus_of_an_actor_are_those_of_its_model():
    assert (settings().device, settings().num_gpus) == ("cuda", 1)
    assert settings(resources={"gpus_per_actor": 4}).num_gpus == 4
    assert settings(resources={"gpus_per_actor": 0.5}).num_gpus == 1
    assert settings(resources={"gpus_per_actor": 0}).device == "cpu"


@pytest.mark.parametrize(
    ("sections", "tokens"),
    [
        ({}, 2048 + 256),
        ({"sampling": {"max_new_tokens": 10}, "model": {"max_prompt_tokens": 100}}, 110),
        ({"label": {"max_new_tokens_on_retry": 1000}}, 3048),
        ({"label": {"parse": "choice", "choices": ["ab", "abcd"], "logprobs": True}}, 2308),
    ],
)
def test_a_row_has_room_for_its_prompt_its_longest_text_and_a_choice_behind_that(sections, tokens):
    assert settings(**sections).max_tokens == tokens + 8


def test_rows_of_batch_files_may_ask_for_more():
    fields = {"source": {"path": "x", "format": "openai"}, "prompt": {}}
    assert settings(**fields).max_tokens is None
    assert settings(**fields, resources={"gpus_per_actor": 0}).max_tokens == 2048 + 8192


def test_images_are_laid_out_for_where_there_may_be_some():
    assert settings().max_images == 0
    assert settings(prompt={"user": "x", "image": "image"}).max_images > 0
    assert settings(prompt={"messages": "chat"}).max_images > 0


@pytest.mark.parametrize(("gpus", "share"), [(0.5, 0.45), (1, 0.9), (4, 0.9)])
def test_actors_that_share_a_gpu_divide_its_memory(gpus, share):
    assert settings(resources={"gpus_per_actor": gpus}).gpu_memory == pytest.approx(share)
