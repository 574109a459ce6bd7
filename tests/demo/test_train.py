import json

import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from relabel.demo.train import Phase, encode, make_processor, train

ONE_STEP = Phase(num_steps=1, learning_rate=1e-3, caption_every=1)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """One step each: twice with seed 0, once with seed 1."""
    folders = [tmp_path_factory.mktemp("model") for _ in range(3)]
    for folder, seed in zip(folders, (0, 0, 1), strict=True):
        train(folder, phases=[ONE_STEP], seed=seed, checkpoint_every=1, num_held_out=2)
    return folders


def test_the_weights_follow_from_the_seed(folders):
    same, again, other = ((folder / "model.safetensors").read_bytes() for folder in folders)
    assert same == again
    assert same != other


def test_the_folder_loads_and_says_what_it_cost(folders):
    model = AutoModelForImageTextToText.from_pretrained(folders[0])
    assert model.dtype == torch.float32
    assert AutoProcessor.from_pretrained(folders[0]).tokenizer.padding_side == "left"
    figures = json.loads((folders[0] / "training.json").read_text())
    assert figures.keys() >= {"seed", "num_steps", "exact_caption", "exact_rewrite", "seconds", "cpu_seconds"}
    assert (folders[0] / "model.safetensors").stat().st_mode & 0o044 == 0o044


def test_a_turn_for_training_is_the_prompt_and_its_answer():
    processor = make_processor(["a small red circle"] * 3)
    example = (None, "a red circle", "a small circle")
    whole, prompt = (
        encode(processor, [example], answers=answers)["input_ids"][0].tolist() for answers in (True, False)
    )
    assert whole[: len(prompt)] == prompt
    assert processor.tokenizer.decode(whole[len(prompt) :]) == "a small circle</s>"
