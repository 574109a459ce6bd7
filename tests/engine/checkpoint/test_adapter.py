"""A LoRA adapter is merged into its model, or refused by name; it is never passed over."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import IA3Config, LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM

from relabel.engine import Sampling, load_engine, load_model, load_processor, model_identity
from relabel.errors import ArgumentRefused, ModelRefused
from tests.engine import inputs, models

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


def save_adapter(folder: Path, model: Any = None, **changes: Any) -> Path:
    """An adapter of the tiny Llama whose weights are strong enough to change its texts."""
    torch.manual_seed(1)
    config = LoraConfig(**{"r": 4, "lora_alpha": 16, "target_modules": ["q_proj", "down_proj"], **changes})
    adapted = get_peft_model(models.llama() if model is None else model, config)
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_" in name:
                weight.normal_(std=0.5)
    adapted.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models.save(models.llama(), tmp_path_factory.mktemp("base"))


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    return save_adapter(tmp_path / "adapter")


def texts_of(path: Path, **arguments: Any) -> list[list[int]]:
    engine = load_engine(str(path), dtype="float32", sampling=Sampling(max_new_tokens=8), **arguments)
    return [list(result.token_ids or ()) for result in engine.generate(inputs.text_requests())]


@pytest.mark.parametrize("changes", [{}, {"use_rslora": True}, {"use_dora": True}], ids=["lora", "rslora", "dora"])
def test_the_engine_writes_what_peft_writes(base: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    adapter = save_adapter(tmp_path / "adapter", **changes)
    reference = PeftModel.from_pretrained(models.llama(), str(adapter))
    expected = [models.generate_alone(reference, request, 8, [models.EOS]) for request in inputs.text_requests()]
    assert texts_of(base, adapter=str(adapter)) == expected
    assert texts_of(base) != expected, "the adapter does not matter to these texts"


def tied() -> Any:
    """The tiny Llama with one matrix for its embeddings and its head."""
    config = LlamaConfig(**{**models.llama().config.to_dict(), "tie_word_embeddings": True})
    torch.manual_seed(2)
    model = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() >= 2:
                weight.mul_(3.0)
    return model


@pytest.mark.parametrize(
    "changes",
    [
        {"target_modules": ["lm_head", "q_proj"]},
        {"target_modules": ["embed_tokens", "q_proj"]},
        {"target_modules": ["embed_tokens", "lm_head"]},
        {"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]},
        {"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens"]},
        {"target_modules": ["q_proj"], "trainable_token_indices": [5, 40]},
    ],
    ids=str,
)
def test_an_adapter_of_embeddings_or_head_changes_that_one_alone_where_both_are_one(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    base = models.save(tied(), tmp_path / "tied")
    adapter = save_adapter(tmp_path / "adapter", tied(), **changes)
    reference = PeftModel.from_pretrained(tied(), str(adapter))
    ids = torch.arange(3, 60)[None]
    merged = load_model(str(base), adapter=str(adapter), dtype="float32")
    torch.testing.assert_close(merged(ids).logits, reference(ids).logits, rtol=1e-3, atol=1e-3)
    assert not torch.allclose(merged(ids).logits, tied()(ids).logits, atol=1)


def test_an_adapter_in_the_folder_of_its_model_is_merged_too(base: Path, adapter: Path, tmp_path: Path) -> None:
    both = Path(shutil.copytree(base, tmp_path / "both"))
    for name in (CONFIG, WEIGHTS):
        shutil.copy(adapter / name, both / name)
    assert texts_of(both) == texts_of(base, adapter=str(adapter))
    with pytest.raises(ArgumentRefused, match="an adapter of its own"):
        load_model(str(both), adapter=str(adapter))


@pytest.mark.parametrize("layers", [["embed_tokens"], ["lm_head"], ["embed_tokens", "lm_head"]], ids=str)
def test_an_adapter_of_more_tokens_than_the_model_has_says_what_to_do(
    base: Path, tmp_path: Path, layers: list[str]
) -> None:
    grown = models.llama()
    before = grown.config.vocab_size
    grown.resize_token_embeddings(before + 2)
    adapter = save_adapter(tmp_path / "adapter", grown, modules_to_save=layers)
    with pytest.raises(ModelRefused, match=rf"trained with {before + 2} tokens where the model has {before}\. Merge"):
        load_model(str(base), adapter=str(adapter))


def test_the_identity_of_a_model_knows_its_adapter(base: Path, adapter: Path) -> None:
    plain, adapted = model_identity(str(base)), model_identity(str(base), adapter=str(adapter))
    assert "adapter" not in plain, "what was made before there were adapters is known as before"
    assert {name: value for name, value in adapted.items() if name != "adapter"} == plain
    weights = load_file(adapter / WEIGHTS)
    save_file({name: weight * 1.5 for name, weight in weights.items()}, adapter / WEIGHTS)
    assert model_identity(str(base), adapter=str(adapter)) != adapted


def test_an_adapter_in_the_place_of_a_model_is_refused_with_the_name_of_its_base(adapter: Path) -> None:
    config = adapter / CONFIG
    config.write_text(json.dumps({**json.loads(config.read_text()), "base_model_name_or_path": "some/base"}))
    for attempt in (load_model, load_processor, model_identity):
        with pytest.raises(ArgumentRefused, match=r"its base is some/base\): name the base in path"):
            attempt(str(adapter))


def without_weights(folder: Path) -> None:
    (folder / WEIGHTS).unlink()


def pickled(folder: Path) -> None:
    torch.save(load_file(folder / WEIGHTS), folder / "adapter_model.bin")
    (folder / WEIGHTS).unlink()


def truncated(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-4])


def one_weight_less(folder: Path) -> None:
    weights = load_file(folder / WEIGHTS)
    del weights[sorted(weights)[0]]
    save_file(weights, folder / WEIGHTS)


def of_another_size(folder: Path) -> None:
    weights = load_file(folder / WEIGHTS)
    save_file({name: torch.zeros(4, 8) for name in weights}, folder / WEIGHTS)


def of_another_type(folder: Path) -> None:
    get_peft_model(models.llama(), IA3Config(target_modules=["q_proj"], feedforward_modules=[])).save_pretrained(folder)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without_weights, "adapter_model.safetensors is missing"),
        (pickled, "holds its weights pickled"),
        (truncated, "is truncated or damaged"),
        (one_weight_less, "1 of its weights have no counterpart in the model"),
        (of_another_size, "does not fit this model"),
        (of_another_type, "type 'IA3'; only LORA"),
    ],
)
def test_an_adapter_that_cannot_be_merged_is_refused(base: Path, adapter: Path, spoil: Any, message: str) -> None:
    spoil(adapter)
    with pytest.raises(ModelRefused, match=message):
        load_model(str(base), adapter=str(adapter))


def test_a_folder_without_an_adapter_is_refused(base: Path) -> None:
    with pytest.raises(ArgumentRefused, match="must be the folder of a LoRA adapter"):
        load_model(str(base), adapter=str(base))
