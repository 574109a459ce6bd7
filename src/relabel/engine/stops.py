"""Where a model's own text ends: the stop tokens of a checkpoint and its tokenizer, and its padding token.

Knows names of special tokens; nothing of requests or batches.
"""

from __future__ import annotations

from typing import Any

END_OF_TURN = (
    "<|eot_id|>",  # Llama 3, whose EOS list often holds <|end_of_text|> alone
    "<|eot|>",  # Llama 4
    "<|im_end|>",  # Qwen and others in ChatML
    "<end_of_turn>",  # Gemma
    "<turn|>",  # Gemma 4
    "<end_of_utterance>",  # SmolVLM
    "<|end|>",  # Phi
    "<|return|>",  # GPT-OSS
    "<|endofturn|>",  # EXAONE
    "<|END_OF_TURN_TOKEN|>",  # Command R
)


def find_stop_tokens(generation_config: Any, tokenizer: Any | None) -> tuple[int, ...]:
    """Sorted ids: the generation config's EOS list, the tokenizer's EOS, and its end-of-turn tokens."""
    eos = generation_config.eos_token_id
    stops = {int(token) for token in (eos if isinstance(eos, list | tuple) else [eos]) if token is not None}
    if tokenizer is not None:
        if tokenizer.eos_token_id is not None:
            stops.add(int(tokenizer.eos_token_id))
        special = tokenizer.get_added_vocab()
        names = set(END_OF_TURN) & set(special)
        if "<|return|>" in names:
            names.discard("<|end|>")  # GPT-OSS ends its analysis with <|end|>, and the answer comes after it
        stops.update(special[name] for name in names)
    return tuple(sorted(stops))


def find_pad_token(generation_config: Any, tokenizer: Any | None, stop_tokens: tuple[int, ...], vocab_size: int) -> int:
    """The padding token, else a stop token, else 0: the attention mask tells padding apart, never the id.

    A tokenizer's padding token may lie beyond the model's vocabulary and would then break the embedding.
    """
    candidates = (generation_config.pad_token_id, getattr(tokenizer, "pad_token_id", None), *stop_tokens, 0)
    return next(int(token) for token in candidates if token is not None and 0 <= token < vocab_size)
