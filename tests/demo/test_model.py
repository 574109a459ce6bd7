"""The shipped model, through the ordinary loading code and chat template of transformers."""

import json
import random

import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from relabel.demo import CAPTION_PROMPT, JSON_PROMPT, MODEL_PATH, REWRITE_PROMPT
from relabel.demo.drawing import draw
from relabel.demo.noise import noisy
from relabel.demo.scene import random_scene
from tools.demo_model.train import MAX_NEW_TOKENS

NUM_ROWS = 64


@pytest.fixture(scope="module")
def processor():
    return AutoProcessor.from_pretrained(MODEL_PATH, local_files_only=True)


@pytest.fixture(scope="module")
def model():
    return AutoModelForImageTextToText.from_pretrained(MODEL_PATH, local_files_only=True).eval()


@pytest.fixture(scope="module")
def scenes():
    rng = random.Random("fresh scenes")
    return [random_scene(rng) for _ in range(NUM_ROWS)]


def answers(model, processor, chats, images=None) -> list[str]:
    texts = processor.apply_chat_template(chats, add_generation_prompt=True)
    inputs = processor(text=texts, images=images, padding=True, return_tensors="pt")
    with torch.inference_mode():
        ids = model.generate(**inputs, max_new_tokens=MAX_NEW_TOKENS, do_sample=False)
    return processor.batch_decode(ids[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)


def test_it_captions_scenes_it_has_not_seen(model, processor, scenes):
    chat = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": CAPTION_PROMPT}]}]
    images = [draw(scene, side=96) for scene in scenes]
    said = answers(model, processor, [chat] * NUM_ROWS, images)
    assert sum(text == scene.caption for text, scene in zip(said, scenes, strict=True)) >= 0.95 * NUM_ROWS


def test_it_writes_scenes_it_has_not_seen_as_json(model, processor, scenes):
    chat = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": JSON_PROMPT}]}]
    images = [draw(scene, side=96) for scene in scenes]
    said = answers(model, processor, [chat] * NUM_ROWS, images)
    assert sum(text == json.dumps(scene.record) for text, scene in zip(said, scenes, strict=True)) >= 0.95 * NUM_ROWS


def test_it_rewrites_alt_texts_it_has_not_seen(model, processor, scenes):
    rng = random.Random("fresh noise")
    prompts = [REWRITE_PROMPT.replace("{{ alt_text }}", noisy(scene.caption, rng)) for scene in scenes]
    chats = [[{"role": "user", "content": [{"type": "text", "text": prompt}]}] for prompt in prompts]
    said = answers(model, processor, chats)
    assert sum(text == scene.caption for text, scene in zip(said, scenes, strict=True)) >= 0.95 * NUM_ROWS


def test_answers_end_by_themselves(model, processor):
    chat = [{"role": "user", "content": CAPTION_PROMPT}]
    inputs = processor(text=processor.apply_chat_template(chat, add_generation_prompt=True), return_tensors="pt")
    with torch.inference_mode():
        ids = model.generate(**inputs, max_new_tokens=64, do_sample=False)
    assert ids[0, -1] == model.generation_config.eos_token_id == processor.tokenizer.eos_token_id


def test_the_weights_are_small_and_safe():
    files = {path.name: path.stat().st_size for path in MODEL_PATH.iterdir()}
    assert files["model.safetensors"] <= 8_000_000
    assert not [name for name in files if name.endswith((".bin", ".pt", ".pkl", ".py"))]


@pytest.mark.parametrize("text", ["naïve café 日本語 🙂", "<image> and </s>", "tabs\tand\nlines  \x00"])
def test_the_tokenizer_encodes_any_text(processor, text):
    ids = processor.tokenizer.encode(text)
    assert processor.tokenizer.decode(ids, skip_special_tokens=False) == text


def test_a_record_fits_the_context(model, processor):
    longest = max((json.dumps(random_scene(random.Random(seed)).record) for seed in range(200)), key=len)
    assert len(processor.tokenizer.encode(longest)) < MAX_NEW_TOKENS
    prompt = model.config.image_seq_length + len(processor.tokenizer.encode(JSON_PROMPT)) + 4
    assert prompt + MAX_NEW_TOKENS <= model.config.text_config.max_position_embeddings


def test_a_shape_is_four_tokens(processor):
    caption = "A large red circle at the top left, on a white background."
    assert processor.tokenizer.tokenize(caption) == [
        "AĠlarge",
        "Ġred",
        "Ġcircle",
        "ĠatĠtheĠtopĠleft",
        ",ĠonĠaĠwhiteĠbackground.",
    ]
