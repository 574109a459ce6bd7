"""The sequences that the continuous engine has taken, and forwards whose tokens the host has not looked at yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Self

import torch

from relabel.engine.api.request import Request, Result, Sampling
from relabel.engine.continuous.calls import Call
from relabel.engine.continuous.prefixes import Prefix
from relabel.engine.scheduling.step import PrefixGroup
from relabel.rejected import Code, Rejected


@dataclass(slots=True, kw_only=True)
class Sequence:
    """A request from the moment it is taken to its result."""

    call: Call
    at: int
    """Which of the call's requests."""
    request: Request
    sampling: Sampling
    prefix: Prefix | None
    prefix_group: PrefixGroup | None
    slot: int = -1
    turn: int = 0
    """How often it was begun again."""
    copied: int = 0
    """Positions taken from another row of its prefix group."""
    num_chosen: int = 0
    """Tokens chosen on the device."""
    num_computed: int = 0
    """Positions computed so far."""
    tokens: list[int] = field(default_factory=list)
    """Tokens that the host has seen."""
    logprobs: list[float] = field(default_factory=list)
    """Log-probabilities of these tokens, if the row asks for them."""

    @property
    def shared(self) -> int:
        """Positions of a prefix that is kept."""
        return len(self.prefix.tokens) if self.prefix else 0

    @property
    def num_given(self) -> int:
        """Positions that it did not have to compute."""
        return max(self.shared, self.copied)

    @property
    def num_useful(self) -> int:
        """Positions that its prompt and its tokens but the last, which is never computed, need."""
        return len(self.request.prompt_ids) - self.num_given + len(self.tokens) - 1

    def begin_again(self) -> int:
        """Nothing of it is there any more. Returns how many positions were computed in vain."""
        wasted, self.turn = self.num_computed, self.turn + 1
        self.num_chosen = self.num_computed = self.copied = 0
        self.tokens, self.logprobs = [], []
        return wasted

    def took(self, token: int, logprob: float, *, is_finite: bool, how: int) -> Result | None:
        """Its result, if it ended with this token. `how` is 1 at a stop token and 2 at a stop string, which is kept."""
        self.tokens.append(token)
        self.logprobs.append(logprob)
        if not is_finite:
            return self.failed(Rejected(Code.NONFINITE, "the model's logits are not finite numbers"))
        if how == 1:
            return self._ended("stop", self.tokens[:-1])
        if how == 2 or len(self.tokens) == self.sampling.max_new_tokens:
            return self._ended("stop" if how else "length", self.tokens)
        return None

    def failed(self, error: Rejected) -> Result:
        """Its result where it cannot be computed."""
        return Result(id=self.request.id, error=error)

    def _ended(self, reason: Literal["stop", "length"], token_ids: list[int]) -> Result:
        logprobs = self.logprobs if self.sampling.logprobs else None
        return Result(
            id=self.request.id,
            token_ids=token_ids,
            num_tokens=len(token_ids),
            finish_reason=reason,
            logprobs=logprobs,
        )


@dataclass(frozen=True, slots=True)
class PendingStep:
    """A forward whose tokens the host has not looked at yet."""

    rows: list[int]
    """Of each token; a row has several where tokens of its draft were accepted."""
    turns: list[int]
    """Of each of these rows, as it was computed."""
    outcome_4R: torch.Tensor
    """Token, finite, how it ended, log-probability, as float64, which holds any token: on its way to the host."""
    accepted: Mapping[int, int]
    """How many tokens of its draft, for each row that had one."""
    arrived: torch.cuda.Event | None

    @classmethod
    def send(
        cls, rows: list[int], turns: list[int], outcome_4R: torch.Tensor, accepted: Mapping[int, int] | None = None
    ) -> Self:
        """Begin to copy what came out for these rows; nobody waits for it."""
        if not outcome_4R.is_cuda:
            return cls(rows, turns, outcome_4R, accepted or {}, None)
        arrived, on_host = torch.cuda.Event(), outcome_4R.to("cpu", non_blocking=True)
        arrived.record()
        return cls(rows, turns, on_host, accepted or {}, arrived)

    def read(self) -> Iterable[tuple[int, int, float, float, float, float]]:
        """For each token the number of its row, its turn and its outcome, as soon as the copy is there."""
        if self.arrived is not None:
            self.arrived.synchronize()
        return zip(self.rows, self.turns, *self.outcome_4R.tolist(), strict=True)
