"""Folders of models as they lie about: what transformers loads of them, relabel loads."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedModel, PreTrainedTokenizerBase

from relabel.engine import Sampling, load_engine, load_model, load_processor, model_identity
from relabel.engine.loading import settle_batching
from relabel.errors import ModelRefused
from tests.engine import inputs, models

INDEX = "model.safetensors.index.json"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return models.save(models.llama(), tmp_path / "model")


@pytest.mark.parametrize("shard", ["model-00002.safetensors", "../elsewhere.safetensors", "pytorch_model.bin"])
def test_an_index_beside_the_single_file_is_stale(folder: Path, shard: str) -> None:
    """It names the shards of an earlier save; transformers takes the single file."""
    before = model_identity(str(folder))["weights"]
    (folder / INDEX).write_text(json.dumps({"weight_map": {"a": shard}}))
    assert model_identity(str(folder))["weights"] == before
    weights, expected = load_model(str(folder)).state_dict(), models.llama().state_dict()
    assert all(torch.equal(weights[name], weight) for name, weight in expected.items())


def test_shards_are_loaded_by_their_index(folder: Path, tmp_path: Path) -> None:
    models.llama().save_pretrained(tmp_path / "sharded", max_shard_size="20KB")
    assert (tmp_path / "sharded" / INDEX).is_file()
    weights, expected = load_model(str(tmp_path / "sharded")).state_dict(), models.llama().state_dict()
    assert all(torch.equal(weights[name], weight) for name, weight in expected.items())
    (tmp_path / "sharded" / INDEX).write_text("{}")
    with pytest.raises(ModelRefused, match="has no weight_map"):
        load_model(str(tmp_path / "sharded"))


def test_a_model_that_sees_reads_text_without_the_files_of_its_processor(tmp_path: Path) -> None:
    folder = models.save(models.llava(), tmp_path / "llava")
    assert isinstance(load_processor(str(folder)), PreTrainedTokenizerBase)
    engine = load_engine(str(folder), dtype="float32", sampling=Sampling(max_new_tokens=4))
    requests = inputs.text_requests()
    expected = [models.generate_alone(models.llava(), request, 4, [models.EOS]) for request in requests]
    assert [list(result.token_ids or ()) for result in engine.generate(requests)] == expected


def test_a_processor_that_is_there_and_broken_is_refused(tmp_path: Path) -> None:
    folder = models.save(models.llava(), tmp_path / "llava")
    (folder / "preprocessor_config.json").write_text("[]")
    with pytest.raises(ModelRefused, match="cannot be loaded"):
        load_processor(str(folder))


def gpt2() -> GPT2LMHeadModel:
    """Its `forward` takes `token_type_ids`, which are segments of a text and have nothing to do with images."""
    torch.manual_seed(0)
    model = GPT2LMHeadModel(
        GPT2Config(vocab_size=models.VOCAB_SIZE, n_embd=32, n_layer=2, n_head=4, n_positions=512, eos_token_id=2)
    )
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() >= 2:
                weight.mul_(3.0)
    return model.eval()


def test_a_model_of_the_kind_of_gpt2_shares_one_stream(tmp_path: Path) -> None:
    verdict = settle_batching(gpt2(), "gpt2", "auto")
    assert (verdict.batching, verdict.notes) == ("continuous", ())
    engine = load_engine(
        str(models.save(gpt2(), tmp_path / "gpt2")), dtype="float32", sampling=Sampling(max_new_tokens=8)
    )
    requests = inputs.text_requests()
    expected = [models.generate_alone(gpt2(), request, 8, [models.EOS]) for request in requests]
    assert [list(result.token_ids or ()) for result in engine.generate(requests)] == expected


FAMILIES = [
    *(models.llama, models.qwen3, models.mistral, models.gemma2, models.gpt_oss, models.mamba2),
    *(models.llava, models.qwen2_5_vl, models.smolvlm, gpt2),
]


def sharded(model: PreTrainedModel, folder: Path) -> None:
    model.save_pretrained(folder, max_shard_size="20KB")
    assert (folder / INDEX).is_file()


def beside_the_index_of_an_earlier_save(model: PreTrainedModel, folder: Path) -> None:
    sharded(model, folder)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(1.0)
    index = (folder / INDEX).read_text()
    model.save_pretrained(folder)
    (folder / INDEX).write_text(index)


@pytest.mark.parametrize("save", [sharded, beside_the_index_of_an_earlier_save])
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_the_weights_of_every_family_are_those_that_transformers_loads(
    family: Callable[[], PreTrainedModel], save: Callable[[PreTrainedModel, Path], None], tmp_path: Path
) -> None:
    model = family()
    save(model, tmp_path)
    weights = load_model(str(tmp_path), dtype="float32").state_dict()
    expected = type(model).from_pretrained(tmp_path, dtype=torch.float32).state_dict()
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weight, expected[name]) for name, weight in weights.items())
