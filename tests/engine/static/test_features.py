"""Samples and labels of a row bring the same images: the vision tower sees each of them once, and the text stays."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from transformers.modeling_outputs import BaseModelOutputWithPooling

from relabel.engine import Request, Sampling, StaticEngine
from relabel.engine.model.traits import takes_features
from relabel.engine.static.features import MOST_KEPT, ImageFeatures
from tests.engine import inputs, models
from tests.engine.static import families

pytestmark = pytest.mark.skipif(not takes_features(models.llava()), reason="before transformers 5.18 pixels are given")
SAMPLING = Sampling(max_new_tokens=8, temperature=0.8, seed=4, stop_token_ids=[5, 22, 39, 56])
FAMILIES = {
    "llava": (models.llava, inputs.llava_requests),
    "smolvlm": (models.smolvlm, inputs.smolvlm_requests),
    "qwen2_5_vl": (models.qwen2_5_vl, inputs.qwen2_5_vl_requests),
    "qwen3_vl": (models.qwen3_vl, inputs.qwen2_5_vl_requests),
    "gemma3": (models.gemma3, inputs.gemma3_requests),
    "internvl": (families.internvl, families.internvl_requests),
    "mistral3": (families.mistral3, families.mistral3_requests),
    "llava_next": (families.llava_next, families.llava_next_requests),
}


@dataclass
class WithMore(BaseModelOutputWithPooling):
    more: torch.Tensor | None = None


def four_samples(requests: list[Request]) -> list[Request]:
    """Of rows without images, with one and with two."""
    return [replace(one, id=10 * at + sample, group=at) for at, one in enumerate(requests) for sample in range(4)]


def two_labels(requests: list[Request]) -> list[Request]:
    """Prompts that differ before and behind the images of a row."""
    rows = []
    for at, one in enumerate(requests):
        for label in range(2):
            ids = [60 + label, *one.prompt_ids, *range(20, 21 + 5 * label)]
            tensors = dict(one.tensors)
            for name in {"mm_token_type_ids", "token_type_ids"} & tensors.keys():
                tensors[name] = np.pad(tensors[name], ((0, 0), (1, 1 + 5 * label)))
            rows.append(Request(id=2 * at + label, prompt_ids=ids, tensors=tensors, group=at))
    return rows


def as_strangers(requests: list[Request]) -> list[Request]:
    """The same rows, which do not know that their images are the same."""
    return [
        replace(one, tensors={name: array.copy() for name, array in one.tensors.items()}, group=None)
        for one in requests
    ]


def count_encoded(model: Any) -> list[int]:
    """A list that gets the number of tokens of every call of the vision tower."""
    encode, counts = model.base_model.get_image_features, []

    @functools.wraps(encode)
    def counted(*args: Any, **kwargs: Any) -> Any:
        output = encode(*args, **kwargs)
        counts.append(sum(entry.numel() // entry.shape[-1] for entry in output.pooler_output))
        return output

    model.base_model.get_image_features = counted
    return counts


def image_tokens(requests: list[Request]) -> int:
    return sum(list(one.prompt_ids).count(models.IMAGE) for one in requests)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("batch_tokens", [100_000, 200], ids=["one batch", "several batches"])
def test_four_samples_of_a_row_have_its_images_encoded_once(family, batch_tokens):
    build, make_requests = FAMILIES[family]
    model, requests = build(), make_requests()
    counts = count_encoded(model)
    engine = StaticEngine(model, None, SAMPLING, batch_tokens=batch_tokens)

    samples = engine.generate(four_samples(requests))

    assert sum(counts) == image_tokens(requests)
    assert (engine.goodput.num_batches == 1) == (batch_tokens == 100_000)
    counts.clear()
    assert samples == engine.generate(as_strangers(four_samples(requests)))
    assert sum(counts) == 4 * image_tokens(requests)
    assert len({tuple(result.token_ids or ()) for result in samples}) > 20


@pytest.mark.parametrize("family", FAMILIES)
def test_labels_whose_prompts_differ_share_the_images_too(family):
    build, make_requests = FAMILIES[family]
    model, rows = build(), two_labels(make_requests())
    counts = count_encoded(model)
    engine = StaticEngine(model, None, SAMPLING, batch_tokens=300)
    labels = engine.generate(rows)
    assert sum(counts) == image_tokens(rows) // 2
    assert labels == engine.generate(as_strangers(rows))


def test_an_image_that_comes_twice_is_encoded_for_each_row_that_brings_it():
    model, (_, one, two, *_) = models.llava(), inputs.llava_requests()
    twin = {"pixel_values": np.concatenate([one.tensors["pixel_values"]] * 2)}
    rows = [replace(one, id=0), replace(two, id=1), replace(two, id=2, tensors=twin), replace(one, id=3)]
    counts = count_encoded(model)
    engine = StaticEngine(model, None, SAMPLING)
    texts = engine.generate(rows)
    assert sum(counts) == image_tokens([one, two, two])
    assert texts == engine.generate(as_strangers(rows))


def test_features_that_are_laid_out_otherwise_are_not_guessed_at():
    """What a model reads besides, nobody knows to share: it is given its pixels."""
    model, requests = models.llava(), two_labels(inputs.llava_requests())
    wanted = StaticEngine(model, None, SAMPLING).generate(as_strangers(requests))
    encode = model.base_model.get_image_features

    @functools.wraps(encode)
    def with_more(*args: Any, **kwargs: Any) -> Any:
        return WithMore(**encode(*args, **kwargs), more=torch.ones(1))

    model.base_model.get_image_features = with_more
    counts = count_encoded(model)
    engine = StaticEngine(model, None, SAMPLING)
    assert engine.generate(requests) == wanted
    assert sum(counts[1:]) == image_tokens(requests), "a row was tried, then pixels were given"
    counts.clear()
    assert engine.generate(requests) == wanted
    assert sum(counts) == image_tokens(requests), "and never tried again"


@pytest.mark.parametrize("family", FAMILIES)
def test_rows_encoded_together_have_the_features_of_rows_alone(family):
    build, make_requests = FAMILIES[family]
    model, requests = build(), two_labels(make_requests())
    counts, found = count_encoded(model), []
    for is_by_row in (True, False):
        features = ImageFeatures(model, is_by_row=is_by_row)
        features.expect(requests)
        with torch.inference_mode():
            found.append(features.of(requests))
    num_rows = sum(bool(one.tensors.keys() - {"token_type_ids"}) for one in make_requests())
    assert len(counts) == num_rows + 1
    alone, together = found
    assert alone.keys() == together.keys()
    torch.testing.assert_close(alone.to_tuple(), together.to_tuple())


def test_rows_that_cannot_be_told_apart_or_have_nothing_in_common_are_not_encoded_together():
    model, requests = models.llava(), inputs.llava_requests()
    features = ImageFeatures(model, is_by_row=False)
    features.expect(requests)
    assert features.of(requests) is None, "nothing in common"
    encode = model.base_model.get_image_features

    @functools.wraps(encode)
    def in_one(*args: Any, **kwargs: Any) -> Any:
        output = encode(*args, **kwargs)
        output.pooler_output = [torch.cat(output.pooler_output)]
        return output

    model.base_model.get_image_features = in_one
    features.expect(two_labels(requests))
    with torch.inference_mode():
        assert features.of(two_labels(requests)) is None, "one entry for all images"


def test_features_that_wait_for_other_rows_are_bounded():
    rng, rows = np.random.default_rng(3), []
    for at in range(MOST_KEPT + 10):
        tensors = {"pixel_values": rng.standard_normal((1, 3, 28, 28), dtype=np.float32)}
        for label, tail in enumerate([[40, 41, 42], [43]]):
            ids = [at % 90 + 3, *[models.IMAGE] * 16, *tail]
            rows.append(Request(id=2 * at + label, prompt_ids=ids, tensors=tensors))
    model = models.llava()
    counts = count_encoded(model)
    engine = StaticEngine(model, None, SAMPLING, batch_tokens=300)
    labels = engine.generate(rows)
    assert MOST_KEPT + 10 < sum(counts) // 16 <= MOST_KEPT + 2 * 10, "those beyond the bound are encoded again"
    assert labels == engine.generate(as_strangers(rows))


def test_memory_that_runs_out_takes_the_features_along():
    model, requests = models.llava(), four_samples(inputs.llava_requests())
    wanted = StaticEngine(model, None, SAMPLING).generate(requests)
    fails = iter([True])

    def fail_once(*_: Any) -> None:
        if next(fails, False):
            raise MemoryError

    model.register_forward_pre_hook(fail_once)
    counts = count_encoded(model)
    engine = StaticEngine(model, None, SAMPLING)
    assert engine.generate(requests) == wanted
    assert engine.goodput.num_out_of_memory == 1
    assert sum(counts) == 2 * image_tokens(requests) // 4, "nothing was held while there was no room"
