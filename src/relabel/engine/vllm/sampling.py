"""A row's settings in the words of vLLM, or why vLLM cannot obey them. Imports nothing of vLLM."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from relabel.engine.api.request import Sampling
from relabel.rejected import Code, Rejected

LEAST_TEMPERATURE, MOST_TEMPERATURE = 0.01, 2.0
"""vLLM raises anything between 0 and the first to that, and refuses what is above the second."""
SAME_NAMES = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stops:
    """What ends a text of this model."""

    default: tuple[int, ...]
    """Where a row names no tokens of its own."""
    end_token: int | None
    """What a grammar ends with; None where the model has none."""
    vocab_size: int

    def of(self, own: Sampling) -> list[int]:
        """The tokens that end a row. A constrained text ends where its grammar does, and no token of it is a stop."""
        if own.constraint is not None and self.end_token is not None:
            return [self.end_token]
        return [token for token in own.stop_token_ids or self.default if token < self.vocab_size]


def refuse(own: Sampling, stops: Stops, *, guesses: bool) -> Rejected | None:
    """Why vLLM cannot obey the settings; None where it can. `guesses`: whether its steps speculate."""
    if own.temperature and not LEAST_TEMPERATURE <= own.temperature <= MOST_TEMPERATURE:
        return Rejected(
            Code.SAMPLING, f"vLLM takes temperatures of 0 and from {LEAST_TEMPERATURE} to {MOST_TEMPERATURE:g}"
        )
    if guesses and own.min_p:
        return Rejected(Code.SAMPLING, "min_p does not go with vLLM's speculation")
    if own.constraint is not None and stops.end_token is None:
        return Rejected(Code.SAMPLING, "the model has no token that ends a constrained text")
    return None


def sampling_fields(own: Sampling, request_id: int, stops: Stops) -> dict[str, object]:
    """The fields of vLLM's `SamplingParams` for a text that is to be written, but for its grammar."""
    return {
        **{name: getattr(own, name) for name in SAME_NAMES},
        "max_tokens": own.max_new_tokens,
        "min_tokens": own.min_new_tokens,
        "seed": seed_of(own.seed, request_id) if own.temperature > 0 else None,
        "stop": list(own.stop_strings),
        "stop_token_ids": stops.of(own),
        "ignore_eos": True,  # all that ends a text is among the stop tokens
        "detokenize": bool(own.stop_strings),
        # of the model itself: those of a constrained text would be those under its grammar
        "logprobs": 0 if own.logprobs and own.constraint is None else None,
        "skip_clone": True,
    }


def scoring_fields() -> dict[str, object]:
    """The fields for a text that is given: it stands behind the prompt, and one token more is thrown away."""
    return {
        "temperature": 0.0,
        "max_tokens": 1,
        "ignore_eos": True,
        "prompt_logprobs": 0,
        "detokenize": False,
        "skip_clone": True,
    }


def seed_of(seed: int, request_id: int) -> int:
    """63 bits of both, so never -1, which vLLM takes for no seed."""
    name = json.dumps([seed, request_id % 2**64]).encode()
    return int.from_bytes(blake2b(name, digest_size=8).digest(), "big") >> 1


def probabilities_of(tokens: Sequence[int], found: Sequence[Any]) -> list[float]:
    """The log-probability of each token, given vLLM's table for each place."""
    return [float(table[token].logprob) for token, table in zip(tokens, found, strict=True)]
