"""What happens at each step inside `generate`: rows are sampled, judged and ended one by one.

`Scores` sees the logits, `Ends` the chosen tokens; both write to one `Watch`, which is read when the batch is done.
Everything stays on the device, so that no step waits for the host. Knows nothing of requests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from transformers import LogitsProcessor, StoppingCriteria

from relabel.engine.request import Sampling
from relabel.engine.sampling import choose, draw_uniforms


class Watch:
    """The state of the rows of one batch."""

    def __init__(self, num_rows: int, device: torch.device) -> None:
        self.done = torch.zeros(num_rows, dtype=torch.bool, device=device)
        self.stopped = self.done.clone()
        """Ended by a stop token or a stop string."""
        self.nonfinite = self.done.clone()
        self.num_tokens = torch.zeros(num_rows, dtype=torch.long, device=device)
        """Tokens that belong to the row, without a stop token."""

    def read(self) -> tuple[list[int], list[bool], list[bool]]:
        """num_tokens, stopped and nonfinite of each row, on the host."""
        return self.num_tokens.tolist(), self.stopped.tolist(), self.nonfinite.tolist()

    def keep(self, index_R: torch.Tensor) -> None:
        self.done, self.stopped = self.done[index_R], self.stopped[index_R]
        self.nonfinite, self.num_tokens = self.nonfinite[index_R], self.num_tokens[index_R]


class Scores(LogitsProcessor):
    """Flags rows whose logits are not finite and, when sampling, leaves only the chosen token."""

    def __init__(self, watch: Watch, sampling: Sampling, row_ids: list[int]) -> None:
        self._watch, self._sampling, self._step = watch, sampling, 0
        if sampling.temperature > 0:
            uniforms_BT = draw_uniforms(sampling.seed, row_ids, sampling.max_new_tokens)
            self._uniforms_TB = uniforms_BT.T.contiguous().to(watch.done.device)

    def keep(self, index_R: torch.Tensor) -> None:
        if self._sampling.temperature > 0:
            self._uniforms_TB = self._uniforms_TB[:, index_R]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.FloatTensor:
        # one pass: the maximum is NaN with any NaN, inf with any inf, and -inf when no token is possible
        self._watch.nonfinite |= ~scores.amax(-1).isfinite() & ~self._watch.done
        sampling = self._sampling
        if sampling.temperature > 0:
            tokens_B = choose(
                scores,
                self._uniforms_TB[self._step],
                temperature=sampling.temperature,
                top_p=sampling.top_p,
                top_k=sampling.top_k,
            )
            self._step += 1
            scores = torch.full_like(scores, -torch.inf).scatter_(1, tokens_B[:, None], 0.0)
        return cast(torch.FloatTensor, scores)


class Ends(StoppingCriteria):
    """Ends a row at a stop token, a stop string, or as soon as it is flagged."""

    def __init__(
        self,
        watch: Watch,
        prompt_width: int,
        stop_table: torch.Tensor,
        stop_strings: Callable[..., torch.Tensor] | None,
    ) -> None:
        self._watch, self._prompt_width = watch, prompt_width
        self._stop_table = stop_table
        """[vocabulary] of bool."""
        self._stop_strings = stop_strings
        self.leaves_early = False
        """Whether `generate` is left as soon as a quarter of the rows have ended."""

    def __call__(self, input_ids: torch.Tensor, scores: object, **kwargs: object) -> torch.BoolTensor:
        watch = self._watch
        new_ids = input_ids[:, self._prompt_width :]
        at_stop_token = self._stop_table[new_ids[:, -1]]
        watch.num_tokens = torch.where(watch.done, watch.num_tokens, new_ids.shape[1] - at_stop_token.long())
        ends = at_stop_token
        if self._stop_strings is not None:
            # only what was generated: a stop string must not begin in the prompt
            ends = ends | self._stop_strings(new_ids, scores)
        watch.stopped |= ends & ~watch.done
        watch.done = watch.done | ends | watch.nonfinite
        leave = watch.done.sum() * 4 >= len(watch.done) if self.leaves_early else False
        return cast(torch.BoolTensor, watch.done | leave)
