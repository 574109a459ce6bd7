"""Samples of a row and several questions about it: what their prompts begin with is computed once, the text stays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from relabel.engine import ContinuousEngine, Limits, Request, Sampling, StaticEngine
from relabel.engine.scheduling.scheduler import Scheduler
from relabel.engine.scheduling.step import PrefixGroup
from tests.engine import inputs, models

SAMPLING = Sampling(max_new_tokens=10, temperature=0.8, seed=4, stop_token_ids=[5, 22, 39, 56])
FAMILIES = {
    "llama": (models.llama, inputs.text_requests),
    "mistral": (models.mistral, inputs.text_requests),
    "gemma2": (models.gemma2, inputs.text_requests),
    "llava": (models.llava, inputs.llava_requests),
    "qwen2_5_vl": (models.qwen2_5_vl, inputs.qwen2_5_vl_requests),
    "smolvlm": (models.smolvlm, inputs.smolvlm_requests),
}
TAILS = [[7, 8, 9], [7, 8, 9], [10], [11, 12, 13, 14, 15, 16]]
"""The first two are samples of one prompt."""


def in_groups(requests: list[Request]) -> list[Request]:
    """Four texts for each row: its prompt, made long enough to be worth a copy, goes on in three ways."""
    rows = []
    for number, request in enumerate(requests):
        for sample, tail in enumerate(TAILS):
            ids, tensors = [*request.prompt_ids, *range(20, 40), *tail], dict(request.tensors)
            if "mm_token_type_ids" in tensors:
                more = np.zeros((1, len(ids) - len(request.prompt_ids)), dtype=np.int64)
                tensors["mm_token_type_ids"] = np.concatenate([tensors["mm_token_type_ids"], more], axis=1)
            rows.append(Request(id=10 * number + sample, prompt_ids=ids, tensors=tensors, group=number))
    return rows


def continuous(model, *, num_slots: int = 8, step_tokens: int = 64) -> ContinuousEngine:
    limits = Limits(kv_tokens=4096, num_slots=num_slots, step_tokens=step_tokens)
    return ContinuousEngine(model, None, SAMPLING, limits=limits)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("num_slots", [2, 8])
def test_a_family_has_the_text_of_rows_that_know_nothing_of_each_other(family, num_slots):
    build, make_requests = FAMILIES[family]
    requests = in_groups(make_requests())
    strangers = [replace(request, group=None) for request in requests]
    alone = StaticEngine(build(), None, SAMPLING).generate(strangers)
    engine = continuous(build(), num_slots=num_slots)
    assert engine.generate(requests) == alone
    assert len({tuple(result.token_ids) for result in alone}) > len(alone) // 2
    assert engine.goodput.shared_tokens > sum(len(request.prompt_ids) for request in requests) // 2
    backwards = continuous(build(), num_slots=num_slots, step_tokens=20).generate(requests[::-1])
    assert backwards == alone[::-1]


@pytest.mark.parametrize("family", ["llava", "smolvlm", "qwen2_5_vl"])
def test_the_images_of_a_family_are_encoded_once(family):
    build, make_requests = FAMILIES[family]
    model, requests = build(), make_requests()
    own, sizes = model.get_image_features, []

    def counted(**pixels):
        sizes.append(int(np.prod(pixels["pixel_values"].shape[:-1])))
        return own(**pixels)

    model.get_image_features = counted
    continuous(model).generate([request for request in in_groups(requests) if request.id % 10 == 0])
    once, sizes[:] = sum(sizes), []
    continuous(model).generate(in_groups(requests))
    assert sum(sizes) == once


def test_prompts_that_differ_before_their_images_share_nothing():
    requests = [request for request in inputs.llava_requests() if request.tensors][:4]
    rows = [
        replace(request, id=2 * at + turn, group=at, prompt_ids=[60 + turn, *request.prompt_ids, *range(20, 40)])
        for at, request in enumerate(requests)
        for turn in range(2)
    ]
    engine = continuous(models.llava())
    assert engine.generate(rows) == StaticEngine(models.llava(), None, SAMPLING).generate(rows)
    assert engine.goodput.shared_tokens == 0


def test_the_first_of_a_family_computes_the_others_wait_a_step_and_copy():
    scheduler = Scheduler(Limits(kv_tokens=1000, num_slots=4, step_tokens=100))
    for row in range(3):
        scheduler.add(row, prompt_tokens=30, new_tokens=5, prefix_group=PrefixGroup(7, 28))
    scheduler.add(3, prompt_tokens=20, new_tokens=5)
    (leader, stranger), (second, third) = scheduler.step().chunks, scheduler.step().chunks
    assert (leader.row, leader.start, leader.source) == (0, 0, None)
    assert stranger.row == 3
    assert [(chunk.row, chunk.start, chunk.end, chunk.source) for chunk in (second, third)] == [
        (1, 28, 30, (leader.slot,)),
        (2, 28, 30, (leader.slot,)),
    ]


def test_a_slot_that_is_given_away_is_no_source_any_more_in_the_same_step():
    """Leaders of more families than there are slots end together: the next ones come into the slots they leave."""
    prompts = [[number + 3, *range(30, 50)] for number in range(8)]
    rows = [
        Request(id=10 * number + sample, prompt_ids=[*prompt, 60 + sample], group=number)
        for number, prompt in enumerate(prompts)
        for sample in range(3)
    ]
    sampling = Sampling(max_new_tokens=4, stop_token_ids=[2**31 - 1])
    strangers = [replace(row, group=None) for row in rows]
    wanted = StaticEngine(models.llama(), None, sampling).generate(strangers)
    for num_slots in (2, 3, 4, 5):
        limits = Limits(kv_tokens=4096, num_slots=num_slots, step_tokens=64)
        assert ContinuousEngine(models.llama(), None, sampling, limits=limits).generate(rows) == wanted


def test_what_a_row_that_has_left_computed_is_there_while_others_of_its_family_wait():
    scheduler = Scheduler(Limits(kv_tokens=1000, num_slots=1, step_tokens=100))
    for row, family in enumerate([7, 7, 8, 7]):
        scheduler.add(row, prompt_tokens=30, new_tokens=1, prefix_group=PrefixGroup(family, 28))
    seen = []
    for _ in range(4):
        (chunk,) = scheduler.step().chunks
        seen.append((chunk.row, chunk.start, chunk.source))
        scheduler.end(chunk.row)
    assert seen == [(0, 0, None), (1, 28, (0,)), (3, 28, (0,)), (2, 0, None)]


def test_a_family_of_which_none_waited_is_computed_again():
    scheduler = Scheduler(Limits(kv_tokens=1000, num_slots=1, step_tokens=100))
    scheduler.add(0, prompt_tokens=30, new_tokens=1, prefix_group=PrefixGroup(7, 28))
    for row in (1, 2):
        scheduler.step()
        scheduler.end(row - 1)
        scheduler.add(row, prompt_tokens=30, new_tokens=1, prefix_group=PrefixGroup(7, 28) if row == 2 else None)
    (chunk,) = scheduler.step().chunks
    assert (chunk.row, chunk.start, chunk.source) == (2, 0, None)
