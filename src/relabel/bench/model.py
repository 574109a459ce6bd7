"""The models that are benchmarked: a small and a large Llama with random weights, or the user's own.

Knows how they are made and loaded; nothing of prompts or time.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict, cast

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from relabel.engine import load_model

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Shape(TypedDict):
    """What a Llama is made of, in the words of its config."""

    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    vocab_size: int
    max_position_embeddings: int
    pad_token_id: int
    bos_token_id: int
    eos_token_id: int


SMALL: Shape = {
    "hidden_size": 512,
    "intermediate_size": 1536,
    "num_hidden_layers": 8,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "vocab_size": 8192,
    "max_position_embeddings": 2048,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
"""33.6 million parameters."""
LARGE: Shape = {
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 8192,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
"""Llama-3-8B: 8.03 billion."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model, as transformers loads it and as relabel does; the same object where they are the same."""

    name: str
    plain: PreTrainedModel
    """In the type that was asked for."""
    own: PreTrainedModel
    """In float32 where a CPU would emulate that type."""

    @classmethod
    def load(cls, path: str | None, dtype: torch.dtype, device: torch.device) -> Model:
        """The model of a folder; without one the small model on a CPU, the large one elsewhere."""
        if path is not None:
            return load_folder(path, path, dtype, device)
        if device.type != "cpu":
            model = random_llama(LARGE, dtype, device)
            return cls(name="random Llama-3-8B", plain=model, own=model)
        with tempfile.TemporaryDirectory() as folder:
            write_small(folder)
            return load_folder(folder, "random Llama of 33.6 M", dtype, device)


def load_folder(folder: str, name: str, dtype: torch.dtype, device: torch.device) -> Model:
    """The model of a folder under a name of its own."""
    own = load_model(folder, dtype=str(dtype).removeprefix("torch."), device=str(device))
    plain = own if device.type != "cpu" else type(own).from_pretrained(folder, dtype=dtype, local_files_only=True)
    return Model(name=name, plain=plain, own=own)


def random_llama(shape: Shape, dtype: torch.dtype, device: torch.device) -> PreTrainedModel:
    """Made where it is used: 16 GB of weights are neither written nor copied."""
    torch.manual_seed(0)
    with torch.device(device):
        return AutoModelForCausalLM.from_config(LlamaConfig(**shape), dtype=dtype).eval()


def write_small(folder: str) -> None:
    """The small model in bfloat16 and a word-level tokenizer; the same seed, so the same model every time."""
    torch.manual_seed(0)
    vocab = {"<pad>": 0, "<s>": 1, "</s>": 2, "<unk>": 3} | {f"w{token}": token for token in range(4, 8192)}
    backend = Tokenizer(models.WordLevel(vocab, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>"
    ).save_pretrained(folder)
    model = LlamaForCausalLM(LlamaConfig(**SMALL)).eval()
    for name, weight in model.named_parameters():
        if weight.dim() == 2 and "embed" not in name:
            weight.data.mul_(3.0)  # random weights that are not sharpened repeat one token for ever
    cast(torch.nn.Module, model).to(torch.bfloat16)  # whose hints of `to` are lost in PreTrainedModel
    model.save_pretrained(folder)
