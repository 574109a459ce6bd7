"""What cannot be run is refused at the start, in a sentence with what vLLM says of it."""

import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from relabel.errors import ModelRefused
from tests.engine.vllm.kit import SMALL, start

pytestmark = [pytest.mark.vllm, pytest.mark.fault]


def test_a_model_whose_rows_do_not_fit_is_refused_with_the_numbers(folder):
    """Not five starts of an engine that dies each time."""
    with pytest.raises(ModelRefused, match=r"up to 512 tokens.*100,000 bytes.*kv_memory.*ValueError"):
        start(folder, settings=replace(SMALL, kv_memory=100_000))


def test_weights_that_give_no_numbers_are_refused(folder, tmp_path):
    damaged = shutil.copytree(folder, tmp_path / "damaged")
    weights = load_file(damaged / "model.safetensors")
    name = next(name for name in weights if "q_proj" in name)
    weights[name] = torch.full_like(weights[name], torch.nan)
    save_file(weights, damaged / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelRefused, match="not finite"):
        start(damaged)


def test_weights_of_other_names_are_refused_by_name(folder, tmp_path):
    """Of a version of transformers that vLLM does not know yet."""
    other = shutil.copytree(folder, tmp_path / "other")
    weights = load_file(other / "model.safetensors")
    renamed = {name.replace("q_proj", "query"): value for name, value in weights.items()}
    save_file(renamed, other / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelRefused, match="query"):
        start(other)
