"""The small model that is made for the purpose: it sees, and has a processor as published ones do."""

from __future__ import annotations

import pytest
import torch

from relabel.bench.images.contenders import make_images
from relabel.bench.images.model import IMAGE_TOKENS, SeeingModel
from relabel.bench.images.preparing import Preparer
from relabel.errors import ModelRefused


@pytest.fixture(scope="module")
def small():
    return SeeingModel.load(None, torch.float32, torch.device("cpu"))


def test_it_is_loaded_as_a_user_would_and_as_the_engines_do(small):
    plain, own = small.model.plain, small.model.own
    assert plain is not own
    assert plain.num_parameters() == own.num_parameters()
    assert 45e6 < plain.num_parameters() < 47e6
    for mine, other in zip(plain.parameters(), own.parameters(), strict=True):
        assert torch.equal(mine, other)


def test_a_wide_picture_has_fewer_tiles_than_others(small):
    jpegs = make_images("images", 4, 8192).prompts
    requests = [Preparer(small.processor).request(row, jpeg) for row, jpeg in enumerate(jpegs)]
    token = small.model.own.config.image_token_id
    tiles = [list(request.prompt_ids).count(token) / IMAGE_TOKENS for request in requests]
    assert tiles == [5, 5, 5, 3]
    unknown = small.processor.tokenizer.unk_token_id
    assert all(unknown not in request.prompt_ids for request in requests)


def test_its_texts_depend_on_the_picture(small):
    batch = Preparer(small.processor).batch(make_images("images", 3, 8192).prompts)
    made = small.model.plain.generate(**batch, max_new_tokens=12, do_sample=False, pad_token_id=0)
    texts = made[:, batch["input_ids"].shape[1] :].tolist()
    assert len(set(map(tuple, texts))) == 3
    assert len({token for text in texts for token in text}) > 15, "it repeats itself"


def test_a_model_of_texts_is_refused(tiny_model):
    with pytest.raises(ModelRefused, match="takes no images"):
        SeeingModel.load(tiny_model, torch.float32, torch.device("cpu"))
