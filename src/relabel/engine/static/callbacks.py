"""What happens at each step inside `generate`: rows are sampled, judged and ended one by one.

`SamplerCallback` sees the logits, `StopCriterion` the chosen tokens; both write to one `BatchState`, which is read when
the batch is done.
Everything stays on the device, so that no step waits for the host. Knows nothing of requests.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import cast

import torch
from transformers import LogitsProcessor, StoppingCriteria

from relabel.engine.api.goodput import Goodput
from relabel.engine.api.request import Sampling
from relabel.engine.sampling.sampler import Sampler
from relabel.engine.sampling.stops import StopStrings, StopTokens


class BatchState:
    """The state of the rows of one batch."""

    def __init__(self, samplings: Sequence[Sampling], device: torch.device) -> None:
        self.rows = list(range(len(samplings)))
        """Which rows of the batch are left."""
        self.samplings = list(samplings)
        self.done = torch.zeros(len(samplings), dtype=torch.bool, device=device)
        self.stopped = self.done.clone()
        """Ended by a stop token or a stop string."""
        self.nonfinite = self.done.clone()
        self.num_tokens = torch.zeros(len(samplings), dtype=torch.long, device=device)
        """Tokens that belong to the row, without a stop token."""
        self.num_chosen = self.num_tokens.clone()
        """Number of chosen tokens, the stop token included."""

    def read(self) -> tuple[list[int], list[int], list[bool], list[bool]]:
        """num_tokens, num_chosen, stopped and nonfinite of each row, on the host."""
        return self.num_tokens.tolist(), self.num_chosen.tolist(), self.stopped.tolist(), self.nonfinite.tolist()

    def keep(self, kept: list[int]) -> None:
        """Go on with the rows at these indices alone."""
        index_R = torch.tensor(kept, device=self.done.device)
        self.rows, self.samplings = [self.rows[at] for at in kept], [self.samplings[at] for at in kept]
        self.done, self.stopped = self.done[index_R], self.stopped[index_R]
        self.nonfinite, self.num_tokens = self.nonfinite[index_R], self.num_tokens[index_R]
        self.num_chosen = self.num_chosen[index_R]


class SamplerCallback(LogitsProcessor):
    """Flags rows whose logits are not finite, and leaves only the chosen token of each."""

    def __init__(self, state: BatchState, sampler: Sampler, goodput: Goodput) -> None:
        self._state, self._sampler, self._goodput, self._step = state, sampler, goodput, 0
        self._logprobs: list[tuple[list[int], torch.Tensor]] = []
        """For each step the rows of the batch and the log-probabilities of their tokens."""
        self.num_decoded = 0
        """Positions computed after the prompts."""
        self.prefilled_at = 0.0
        """When the first logits came, on the clock of `time.perf_counter`."""

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.FloatTensor:
        tokens_R = self.choose(scores)
        return cast(torch.FloatTensor, torch.full_like(scores, -torch.inf).scatter_(1, tokens_R[:, None], 0.0))

    def choose(self, scores_RV: torch.Tensor) -> torch.Tensor:
        """The next token of each row that is left."""
        rows = self._state.rows
        if self._step:
            self.num_decoded += len(rows)
        else:
            self.prefilled_at = time.perf_counter()
        tokens_R, finite_R, logprobs_R = self._sampler.choose(scores_RV, rows, [self._step] * len(rows))
        if any(own.logprobs for own in self._state.samplings):
            self._logprobs.append((rows, logprobs_R))
        self._state.nonfinite |= ~finite_R & ~self._state.done
        self._goodput.num_forwards += 1
        self._step += 1
        return tokens_R

    def logprobs(self, row: int, num_chosen: int) -> list[float]:
        """Of the tokens of one row, on the host."""
        return torch.stack([logprobs_R[rows.index(row)] for rows, logprobs_R in self._logprobs[:num_chosen]]).tolist()


class StopCriterion(StoppingCriteria):
    """Ends a row at a stop token, a stop string, its own number of tokens, or as soon as it is flagged."""

    def __init__(
        self, state: BatchState, prompt_width: int, stop_tokens: StopTokens, stop_strings: StopStrings
    ) -> None:
        self._state, self._prompt_width = state, prompt_width
        self._stop_tokens, self._stop_strings = stop_tokens, stop_strings
        self.leaves_early = False
        """Whether `generate` is left as soon as a quarter of the rows have ended."""

    def __call__(self, input_ids: torch.Tensor, scores: object, **kwargs: object) -> torch.BoolTensor:
        state = self._state
        # only what was generated: a stop string must not begin in the prompt
        new_ids = input_ids[:, self._prompt_width :]
        groups = [self._stop_tokens.group(own.stop_token_ids) for own in state.samplings]
        at_stop_token = self._stop_tokens.end(new_ids[:, -1], groups)
        state.num_tokens = torch.where(state.done, state.num_tokens, new_ids.shape[1] - at_stop_token.long())
        state.num_chosen = torch.where(state.done, state.num_chosen, new_ids.shape[1])
        ends = at_stop_token | self._at_stop_string(new_ids)
        state.stopped |= ends & ~state.done
        is_full = [own.max_new_tokens <= new_ids.shape[1] for own in state.samplings]
        state.done = state.done | ends | state.nonfinite | torch.tensor(is_full, device=ends.device)
        leave = state.done.sum() * 4 >= len(state.done) if self.leaves_early else False
        return cast(torch.BoolTensor, state.done | leave)

    def _at_stop_string(self, new_ids: torch.Tensor) -> torch.Tensor:
        ends = torch.zeros(len(new_ids), dtype=torch.bool, device=new_ids.device)
        for strings in {tuple(own.stop_strings) for own in self._state.samplings} - {()}:
            obeys = [
                tuple(own.stop_strings) == strings and own.min_new_tokens <= new_ids.shape[1]
                for own in self._state.samplings
            ]
            ends |= self._stop_strings.end(new_ids, strings) & torch.tensor(obeys, device=ends.device)
        return ends
