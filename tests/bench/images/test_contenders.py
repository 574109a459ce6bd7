"""All ways give the same tokens from the same JPEGs: what is compared is speed alone."""

from __future__ import annotations

import io

import pytest
import torch
from PIL import Image

from relabel.bench.images.contenders import NUM_ALONE, make_contenders, make_images
from relabel.bench.images.preparing import Preparer

NUM_IMAGES = 6
WAYS = ["one_by_one", "padded_16", "static", "continuous"]


def alone(seeing, workload) -> list[list[int]]:
    """What transformers makes of each picture by itself, as its documentation says."""
    plain, outputs = seeing.model.plain, []
    for jpeg in workload.prompts:
        inputs = Preparer(seeing.processor).batch([jpeg])
        made = plain.generate(
            **inputs,
            max_new_tokens=workload.new_tokens,
            do_sample=False,
            eos_token_id=workload.stop,
            pad_token_id=0,
        )[0, inputs["input_ids"].shape[1] :].tolist()
        outputs.append(made[:-1] if made[-1] in workload.stop else made)
    return outputs


@pytest.fixture(scope="module")
def vocab_size(seeing):
    return seeing.model.plain.config.text_config.vocab_size


def test_all_agree_with_images_alone_in_float32(seeing, vocab_size):
    workload = make_images("images", NUM_IMAGES, vocab_size)
    wanted = alone(seeing, workload)
    assert len(set(map(tuple, wanted))) > 1, "the model does not look at the pictures"
    contenders = [contender for contender, _ in make_contenders(seeing, workload)]
    assert [contender.name for contender in contenders] == WAYS
    for contender in contenders:
        assert contender.generate(workload.prompts) == wanted, contender.name


def test_four_texts_of_an_image_are_drawn_and_both_engines_draw_the_same(seeing, vocab_size):
    workload = make_images("images/4", NUM_IMAGES, vocab_size)
    outputs = {each.name: each.generate(workload.prompts) for each, _ in make_contenders(seeing, workload)}
    assert {len(output) for way in outputs.values() for output in way} == {workload.new_tokens}
    assert {len(way) for way in outputs.values()} == {4 * NUM_IMAGES}
    assert outputs["static"] == outputs["continuous"]
    assert len(set(map(tuple, outputs["static"]))) == 4 * NUM_IMAGES


@pytest.mark.parametrize("way", ["static", "continuous"])
def test_an_engine_encodes_an_image_once_for_its_four_texts(seeing, vocab_size, way):
    workload = make_images("images/4", NUM_IMAGES, vocab_size)
    (contender,) = (each for each, _ in make_contenders(seeing, workload) if each.name == way)
    tower, counts = seeing.model.own.get_encoder(modality="image"), []
    hook = tower.register_forward_pre_hook(
        lambda _, args, kwargs: counts.append(len(args[0] if args else kwargs["pixel_values"])), with_kwargs=True
    )
    contender.generate(workload.prompts)
    hook.remove()
    assert sum(counts) == NUM_IMAGES


def test_the_engines_run_as_their_names_say_and_only_the_slowest_way_is_given_fewer_images(seeing, vocab_size):
    contenders = [each for each, _ in make_contenders(seeing, make_images("images", 2, vocab_size))]
    assert {each.name: each.engine.verdict.batching for each in contenders if each.engine} == {
        "static": "static",
        "continuous": "continuous",
    }
    assert {each.name: each.num_rows for each in contenders if each.num_rows} == {"one_by_one": NUM_ALONE}


def test_the_pictures_are_the_same_every_time_and_of_mixed_sizes():
    first, second = (make_images("images", 5, 100).prompts for _ in range(2))
    assert first == second
    assert len(set(first)) == 5
    sizes = [Image.open(io.BytesIO(jpeg)).size for jpeg in first]
    assert sizes == [(640, 480), (1280, 960), (480, 640), (1280, 640), (640, 480)]


def test_a_request_has_bytes_for_pixels_and_the_tokens_of_a_padded_batch(seeing):
    (jpeg,) = make_images("images", 1, 100).prompts
    preparer = Preparer(seeing.processor)
    request, batch = preparer.request(7, jpeg), preparer.batch([jpeg])
    assert (request.id, request.group) == (7, 7)
    assert list(request.prompt_ids) == batch["input_ids"][0].tolist()
    assert request.tensors["pixel_values"].dtype == "uint8"
    assert batch["pixel_values"].dtype == torch.float32
