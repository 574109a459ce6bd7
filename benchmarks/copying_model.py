"""A Llama whose every text is copied from its prompt, made in code: the shape of the bench model, and exact.

The heads of the first layer attend to the token DISTANCE before the next one, by their rotary embeddings alone, and its
code is what the vocabulary is compared with. All other layers compute as much as any and add nothing.
"""

from collections.abc import Sequence

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from relabel.bench.model import SMALL

DISTANCE = 140
"""Tokens from a token to its copy: a prompt of 200 is copied from its token 60 on."""
SHARPNESS = 24.0
"""Of the attention: the right token has all of it but one part in a million."""


@torch.no_grad()
def copying_model(spelling: Sequence[int] | None = None) -> LlamaForCausalLM:
    """`spelling` gives the token that is written for each token of the vocabulary; by default itself."""
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**SMALL)).eval()
    hidden, half = SMALL["hidden_size"], SMALL["hidden_size"] // 2
    codes = torch.randint(0, 2, (SMALL["vocab_size"], half)).float() * 2 - 1
    codes[:, 0] = 1.0  # the same of all tokens: what queries and keys are made of
    model.model.embed_tokens.weight.zero_()
    model.model.embed_tokens.weight[:, :half] = codes
    model.lm_head.weight.zero_()
    written = torch.arange(SMALL["vocab_size"]) if spelling is None else torch.tensor(spelling)
    model.lm_head.weight[written, half:] = codes
    for layer in model.model.layers:
        layer.self_attn.o_proj.weight.zero_()
        layer.mlp.down_proj.weight.zero_()
    attention = model.model.layers[0].self_attn
    size, num_heads, num_kv_heads = attention.head_dim, SMALL["num_attention_heads"], SMALL["num_key_value_heads"]
    key = torch.cat([torch.ones(size // 2), torch.zeros(size // 2)]) * SHARPNESS
    cos, sin = model.model.rotary_emb(key, torch.tensor([[1 - DISTANCE]]))
    query = key * cos[0, 0] + torch.cat([-key[size // 2 :], key[: size // 2]]) * sin[0, 0]
    for weight, vector, heads in (
        (attention.q_proj.weight, query, num_heads),
        (attention.k_proj.weight, key, num_kv_heads),
    ):
        weight.zero_()
        weight[:, 0] = vector.repeat(heads)
    attention.v_proj.weight.zero_()
    attention.v_proj.weight[:, :half] = torch.eye(half)
    per_group = num_heads // num_kv_heads
    for head in range(num_kv_heads):
        own = slice(half + head * size, half + (head + 1) * size)
        attention.o_proj.weight[own, head * per_group * size : (head * per_group + 1) * size] = torch.eye(size)
    assert num_kv_heads * size == half == hidden // 2
    return model
