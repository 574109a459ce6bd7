"""A model that says what it is told to: a Llama whose weights follow each token with the next one of a given text.

Its tokenizer is built around the marks of a family, as special tokens, as added ones or as plain text.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, decoders, pre_tokenizers
from tokenizers import models as token_models
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

VOCAB_SIZE = 192
END = "</s>"
FOLLOWS, BEFORE, SEEN = 1000.0, 1.0, 100.0
"""Logits: of the token that follows, how much more the first of two followers gets, and of the second once a token
between them was seen, over the number of tokens so far."""


def speaking_tokenizer(
    words: Sequence[str], *, special: Sequence[str] = (), added: Sequence[str] = (), template: str = "", end: str = END
) -> PreTrainedTokenizerFast:
    """Printable characters a token each, some whole words, and marks: special ones, and added ones that are text."""
    vocab = {"<pad>": 0, "<s>": 1, "</s>": 2}
    vocab |= {chr(code): code - 30 for code in range(33, 127)} | {"Ġ": 97, "Ċ": 98}
    for word in words:
        vocab.setdefault(word.replace(" ", "Ġ").replace("\n", "Ċ"), len(vocab))
    backend = Tokenizer(token_models.BPE(vocab=vocab, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([AddedToken(mark, special=True) for mark in ("<pad>", "<s>", "</s>", *special)])
    backend.add_tokens([AddedToken(mark, special=False, normalized=False) for mark in added])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", eos_token=end, pad_token="<pad>", chat_template=template or None
    )
    assert len(tokenizer) <= VOCAB_SIZE
    return tokenizer


def speaking_model(tokenizer: PreTrainedTokenizerFast, said: Sequence[str], after: str) -> LlamaForCausalLM:
    """Says these tokens behind prompts that end in `after`, and then its end.

    A token may stand in the text twice with different followers, once a token that stands there once lies between.
    """
    vocab = tokenizer.get_vocab()
    ids = [vocab[token.replace(" ", "Ġ").replace("\n", "Ċ")] for token in said]
    chain = [tokenizer(after, add_special_tokens=False)["input_ids"][-1], *ids, tokenizer.eos_token_id]
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCAB_SIZE,
            hidden_size=2 * VOCAB_SIZE,
            intermediate_size=8,
            num_hidden_layers=1,
            num_attention_heads=1,
            num_key_value_heads=1,
            head_dim=VOCAB_SIZE,
            max_position_embeddings=512,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=tokenizer.eos_token_id,
            tie_word_embeddings=False,
        )
    )
    one = torch.eye(VOCAB_SIZE)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 2:
                weight.zero_()
        layer = model.model.layers[0].self_attn
        model.model.embed_tokens.weight[:, :VOCAB_SIZE] = one  # the newest token in the first half ...
        layer.v_proj.weight[:, :VOCAB_SIZE] = one
        layer.o_proj.weight[VOCAB_SIZE:] = one  # ... and the mean of all tokens so far in the second
        head = model.lm_head.weight
        # other tokens have followers, too: engines are compared on random texts, whose logits must not all be equal
        head[:, :VOCAB_SIZE] = torch.rand(VOCAB_SIZE, VOCAB_SIZE, generator=torch.Generator().manual_seed(0)) / 4
        for at, (token, follower) in enumerate(pairwise(chain)):
            earlier = [place for place in range(at) if chain[place] == token and chain[place + 1] != follower]
            if not earlier:
                head[follower, token] = FOLLOWS + (BEFORE if token in chain[at + 1 :] else 0)
                continue
            between = next(one for one in chain[earlier[0] + 1 : at] if chain.count(one) == 1)
            head[follower, token], head[follower, VOCAB_SIZE + between] = FOLLOWS, SEEN
    return model.eval()


def save_speaker(folder: Path, tokenizer: PreTrainedTokenizerFast, said: Sequence[str], after: str) -> Path:
    """The folder of such a model."""
    speaking_model(tokenizer, said, after).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
