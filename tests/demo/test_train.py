import json
import random
import shutil

import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from tools.demo_model.examples import json_batches
from tools.demo_model.network import make_model, make_processor
from tools.demo_model.train import Phase, encode, run_phase, start_batches, train

ONE_STEP = Phase(num_steps=1, learning_rate=1e-3, every={"caption": 1, "rewrite": 1})
THIRD_PHASE = Phase(num_steps=2, learning_rate=1e-3, every={"rewrite": 2, "json": 1}, stream="third phase")


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


def test_a_later_phase_gives_the_same_model_from_the_folder_of_the_one_before(folders, tmp_path):
    figures = {"seed": 0, "checkpoint_every": 9, "num_held_out": 1}
    train(tmp_path / "whole", phases=[ONE_STEP, THIRD_PHASE], **figures)
    train(tmp_path / "rest", phases=[THIRD_PHASE], start=folders[0], **figures)
    before, whole, rest = (
        {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "training.json"}
        for folder in (folders[0], tmp_path / "whole", tmp_path / "rest")
    )
    assert whole == rest
    assert whole["model.safetensors"] != before["model.safetensors"]


def test_the_figures_of_a_later_phase_are_of_the_whole_training(folders, tmp_path):
    shutil.copytree(folders[0], tmp_path / "before")
    cost = {"num_steps": 100, "seconds": 3000, "cpu_seconds": 2000}
    (tmp_path / "before" / "training.json").write_text(json.dumps(cost))
    options = {"seed": 0, "checkpoint_every": 9, "num_held_out": 1, "start": tmp_path / "before"}
    figures = train(tmp_path / "after", phases=[THIRD_PHASE], **options)
    assert json.loads((tmp_path / "after" / "training.json").read_text()) == figures
    assert figures["num_steps"] == 102
    assert 3000 <= figures["seconds"] < 3600
    assert 2000 <= figures["cpu_seconds"] < 2600
    assert {name for name in figures if name.startswith("exact_")} == {"exact_rewrite", "exact_json"}


def test_a_task_is_trained_as_often_as_its_phase_says():
    processor = make_processor(["a small red circle"] * 3)
    losses = run_phase(make_model(processor), processor, start_batches("train", 0), THIRD_PHASE)
    assert [step.keys() for step in losses] == [{"rewrite", "json"}, {"json"}]


def test_batches_of_records_are_of_like_length():
    batches = json_batches(random.Random(0))
    spreads = [
        max(map(len, said)) - min(map(len, said)) for said in ([s for _, _, s in next(batches)] for _ in range(8))
    ]
    assert sorted(spreads)[5] < 20


def test_a_turn_for_training_is_the_prompt_and_its_answer():
    processor = make_processor(["a small red circle"] * 3)
    example = (None, "a red circle", "a small circle")
    whole, prompt = (
        encode(processor, [example], answers=answers)["input_ids"][0].tolist() for answers in (True, False)
    )
    assert whole[: len(prompt)] == prompt
    assert processor.tokenizer.decode(whole[len(prompt) :]) == "a small circle</s>"
