"""How many seconds one step of the model takes: measured, told by an earlier run, or bounded by what a card can do.

Plain numbers: knows how much a step computes; nothing of rows, schedulers or torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

COMPUTE_EFFICIENCY, BANDWIDTH_EFFICIENCY = 0.4, 0.4
"""Shares of a card's peak that are taken for an estimate. With them five shapes of an 8B model on an H100 come within a
sixth of what is published of vLLM 0.7.2: 49.0, 22.9, 7.2, 22.6 and 5.1 texts a second of 256/128, 1024/128, 256/1024,
512/256 and 1024/1024 tokens (model card of RedHatAI/DeepSeek-R1-Distill-Llama-8B-quantized.w8a8, of bfloat16)."""


class Work(NamedTuple):
    """What one step, or several together, compute."""

    steps: int
    prompt: int
    """Tokens of prompts."""
    decoded: int
    """Rows that are decoded: one token of each."""
    context: int
    """Tokens that those rows have by then, whose keys and values are read."""
    logits: int
    """Rows whose next token is chosen."""


class StepCost(Protocol):
    """Seconds of a step."""

    def __call__(self, work: Work) -> float: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearCost:
    """So many seconds for each step, each prompt token, each decoded row and each token of its context."""

    step: float = 0.0
    prompt: float = 0.0
    decoded: float = 0.0
    context: float = 0.0

    def times(self, factor: float) -> LinearCost:
        """All of it by a factor."""
        return LinearCost(
            step=self.step * factor,
            prompt=self.prompt * factor,
            decoded=self.decoded * factor,
            context=self.context * factor,
        )

    def __call__(self, work: Work) -> float:
        return (
            self.step * work.steps
            + self.prompt * work.prompt
            + self.decoded * work.decoded
            + self.context * work.context
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RooflineCost:
    """The longer of what the arithmetic and what the memory of a card take, at a share of either's peak."""

    flops_per_second: float
    bytes_per_second: float
    body: int
    """Weights that every token is multiplied with."""
    head: int
    """Weights that only rows whose next token is chosen are."""
    weight_bytes: int
    kv_bytes: int
    """Of one token's keys and values."""

    def __call__(self, work: Work) -> float:
        flops = 2 * (self.body * (work.prompt + work.decoded) + self.head * work.logits)
        moved = self.weight_bytes * work.steps + self.kv_bytes * (work.prompt + work.context)
        return max(
            flops / (self.flops_per_second * COMPUTE_EFFICIENCY), moved / (self.bytes_per_second * BANDWIDTH_EFFICIENCY)
        )
