"""Folders that hold no model as it should be: each is refused by what lies there, and with what to do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from shutil import copytree

import pytest
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertForMaskedLM, LlamaConfig, LlamaForSequenceClassification

from relabel.engine import load_model, load_processor, model_identity
from relabel.errors import ArgumentRefused, ModelRefused
from tests.engine import models

WEIGHTS = "model.safetensors"
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22e\nsize 12345\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return models.save(models.llama(), tmp_path / "model")


def named(folder: Path, name: str) -> None:
    (folder / WEIGHTS).rename(folder / name)


def in_shards(folder: Path) -> None:
    named(folder, "model-00001-of-00002.safetensors")


def quantized(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    (folder / "llama.Q4_K_M.gguf").write_bytes(b"GGUF")


def with_prefix(prefix: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        weights = {f"{prefix}{name}": weight for name, weight in load_file(folder / WEIGHTS).items()}
        save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})

    return spoil


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda folder: named(folder, "model.fp16.safetensors"),
            "has model.fp16.safetensors, and no model.safetensors",
        ),
        (in_shards, r"shards such as model-00001-of-00002.safetensors, and no model.safetensors.index.json"),
        (quantized, r"in the GGUF format \(llama.Q4_K_M.gguf\)"),
        (with_prefix("_orig_mod."), "begin with '_orig_mod.'"),
        (with_prefix("module."), "begin with 'module.'"),
        (lambda folder: (folder / WEIGHTS).write_text(POINTER), "model.safetensors is a pointer of Git LFS"),
    ],
)
def test_weights_that_are_there_in_another_form(folder: Path, spoil: Callable[[Path], object], message: str) -> None:
    spoil(folder)
    with pytest.raises(ModelRefused, match=message):
        load_model(str(folder))


def test_a_tokenizer_that_is_a_pointer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text(POINTER)
    with pytest.raises(ModelRefused, match=r"tokenizer.json is a pointer of Git LFS .*: run git lfs pull"):
        load_processor(str(folder))


def test_a_file_of_a_model_and_the_folder_around_it(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ArgumentRefused, match="is a file"):
        load_model(str(folder / WEIGHTS))
    copytree(folder, tmp_path / "cache/snapshots/c0ffee")
    copytree(folder, tmp_path / "run/checkpoint-500")
    for around, inside in (("cache", "snapshots/c0ffee"), ("run", "checkpoint-500")):
        with pytest.raises(ArgumentRefused, match=f"there is one in .*/{inside}"):
            model_identity(str(tmp_path / around))


@pytest.mark.parametrize(
    "model",
    [
        LlamaForSequenceClassification(LlamaConfig(**models.TEXT, tie_word_embeddings=True)),
        BertForMaskedLM(
            BertConfig(vocab_size=128, hidden_size=32, num_hidden_layers=1, num_attention_heads=4, intermediate_size=32)
        ),
    ],
    ids=["reward model with tied embeddings", "masked language model"],
)
def test_a_model_of_another_task_is_refused_where_its_embeddings_would_do_for_a_head(model, tmp_path: Path) -> None:
    folder = models.save(model, tmp_path / "other")
    for attempt in (load_model, load_processor, model_identity):
        with pytest.raises(ModelRefused, match=rf"is a {type(model).__name__}, which writes no text"):
            attempt(str(folder))


def test_a_class_of_the_repositorys_own_name_says_nothing(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    for names in (["MyLlamaForCausalLM"], [], None, ["LlamaForCausalLM", "LlamaForSequenceClassification"]):
        (folder / "config.json").write_text(json.dumps({**config, "architectures": names}))
        assert load_model(str(folder))
