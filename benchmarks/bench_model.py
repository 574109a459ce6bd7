"""The benchmark model: a Llama of 33.6 M parameters with random weights, and its word-level tokenizer.

Use: python benchmarks/bench_model.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from workload import VOCAB_SIZE


def write_model(folder: str | Path) -> None:
    """Weights in bfloat16; the same seed, so the same model every time."""
    torch.manual_seed(0)
    vocab = {"<pad>": 0, "<s>": 1, "</s>": 2, "<unk>": 3} | {f"w{token}": token for token in range(4, VOCAB_SIZE)}
    backend = Tokenizer(models.WordLevel(vocab, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>"
    ).save_pretrained(folder)
    config = LlamaConfig(
        hidden_size=512,
        intermediate_size=1536,
        num_hidden_layers=8,
        num_attention_heads=8,
        num_key_value_heads=4,
        vocab_size=VOCAB_SIZE,
        max_position_embeddings=2048,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    model = LlamaForCausalLM(config).eval()
    for name, weight in model.named_parameters():
        if weight.dim() == 2 and "embed" not in name:
            weight.data.mul_(3.0)  # random weights that are not sharpened repeat one token for ever
    model.to(torch.bfloat16).save_pretrained(folder)


if __name__ == "__main__":
    write_model(sys.argv[1])
