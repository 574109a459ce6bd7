"""Texts as a constraint lets them through, byte by byte, without a model, and whether it lets a given text through."""

from __future__ import annotations

import random

import numpy as np
from llguidance import LLMatcher, LLTokenizer

from relabel.engine.api.constraint import Constraint

BYTES = LLTokenizer("byte")
CLOSING = b'"}],: '


def _matcher(constraint: Constraint) -> LLMatcher:
    matcher = LLMatcher(BYTES, LLMatcher.grammar_from_lark(constraint.grammar()), log_level=0)
    assert not matcher.is_error(), matcher.get_error()
    return matcher


def written(constraint: Constraint, draw: random.Random, *, most: int = 600) -> str | None:
    """A text of random bytes that may come next; None where it did not end in time. Longer texts hurry to their end."""
    matcher, text = _matcher(constraint), bytearray()
    mask = np.zeros((BYTES.vocab_size + 31) // 32, dtype=np.int32)
    while len(text) < most:
        hurry = len(text) / 80
        if matcher.is_stopped() or (matcher.is_accepting() and draw.random() < 0.2 + hurry):
            return text.decode()
        matcher.unsafe_compute_mask_ptr(mask.ctypes.data, mask.nbytes)
        may = [token for token in range(256) if mask.view(np.uint32)[token // 32] >> (token % 32) & 1]
        if not may:
            assert matcher.is_accepting()
            return text.decode()
        near = [token for token in may if token in CLOSING]
        plain = [token for token in may if token < 128]
        token = draw.choice(near if near and draw.random() < hurry else plain if plain and draw.random() < 0.7 else may)
        text.append(token)
        assert matcher.consume_token(token)
    return None


def lets_through(constraint: Constraint, text: str) -> bool:
    matcher, tokens = _matcher(constraint), list(text.encode())
    return matcher.try_consume_tokens(tokens) == len(tokens) and matcher.is_accepting()
