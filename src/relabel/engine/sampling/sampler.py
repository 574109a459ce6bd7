"""The choice of a token: one uniform per (seed, row, step), so that sampled text does not depend on the batch.

Both engines choose here. A row's token follows from its own logits, settings and history alone. Knows one set of logits
at a time; nothing of models, prompts' text or requests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from relabel.engine.api.request import Request, Sampling
from relabel.engine.model.upload import upload
from relabel.engine.sampling.grammar import Grammars, Matcher, allowed
from relabel.engine.sampling.stops import StopTokens

HEAD = 1024
"""Tokens that are sorted first where only top-p cuts: a full sort of 128k logits costs as much as a decode step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """What the row in a slot brings to the choice of its tokens."""

    sampling: Sampling
    stops: int
    """The number of its group of stop tokens."""
    uniforms: np.ndarray
    """[steps] of float32, a draw each; none where the row is greedy."""
    forced_ids: Sequence[int]
    """Tokens that are taken whatever the logits say; empty where the model chooses."""
    matcher: Matcher | None
    """The state of its grammar; None without a constraint."""

    def is_plain_at(self, step: int) -> bool:
        """Whether the most probable token is the one, with nothing to be adjusted or kept."""
        own = self.sampling
        is_greedy = own.temperature == 0 and own.repetition_penalty == 1 and step >= own.min_new_tokens
        return is_greedy and self.matcher is None and not self.forced_ids


class Sampler:
    """Chooses the tokens of up to `num_slots` rows. A row keeps its slot: one of the KV cache, or a row of a batch."""

    def __init__(self, num_slots: int, stops: StopTokens, grammars: Grammars) -> None:
        self._rows: dict[int, _Row] = {}
        self._num_slots, self._stops, self._grammars = num_slots, stops, grammars
        self._chosen: Chosen | None = None
        self._seen_SV: torch.Tensor | None = None
        """Tokens that a row holds already; made when the first row with a penalty comes."""

    def put(self, slot: int, request: Request, sampling: Sampling) -> None:
        """A new row is in `slot`; whatever was there is forgotten."""
        steps = sampling.max_new_tokens if sampling.temperature > 0 else 0
        stops, constraint = sampling.stop_token_ids, sampling.constraint
        self._rows[slot] = _Row(
            sampling=sampling,
            stops=self._stops.group(stops),
            uniforms=draw_uniforms(sampling.seed, request.id, steps),
            forced_ids=request.forced_ids,
            matcher=self._grammars.matcher(constraint, self._stops.of(stops)) if constraint else None,
        )
        if sampling.repetition_penalty != 1:
            table = self._stops.table_GV
            if self._seen_SV is None:
                self._seen_SV = table.new_zeros(self._num_slots, table.shape[1])
            self._seen_SV[slot] = False
            known = [token for token in request.prompt_ids if token < table.shape[1]]
            self._seen_SV[slot].index_fill_(0, upload(known, table.device, torch.long), True)

    def choose(
        self, logits_RV: torch.Tensor, slots: Sequence[int], steps: Sequence[int]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The tokens of the rows in `slots`, each at its own step from 0: ids [R], whether its logits are finite [R],
        and log-probabilities [R], which are 0 for rows that did not ask for them.

        Rows that are not finite get some valid id.
        """
        # one pass: the maximum is NaN with any NaN, inf with any inf, and -inf when no token is possible
        top_R, tokens_R = logits_RV.max(-1)
        rows = [self._rows[slot] for slot in slots]
        if not all(row.is_plain_at(step) for row, step in zip(rows, steps, strict=True)):
            tokens_R = self._choose(logits_RV, slots, rows, steps)
        logprobs_R = torch.zeros(len(rows), device=logits_RV.device)
        if wanted := [at for at, row in enumerate(rows) if row.sampling.logprobs]:
            index = upload(wanted, logits_RV.device)
            logprobs_RV = logits_RV[index].float().log_softmax(-1)
            logprobs_R.index_copy_(0, index, logprobs_RV.gather(1, tokens_R[index, None])[:, 0])
        return tokens_R, top_R.isfinite(), logprobs_R

    def ends(self, tokens_R: torch.Tensor, slots: Sequence[int]) -> torch.Tensor:
        """[R] of bool: whether the token that was chosen for the row in each slot is one of its stop tokens."""
        return self._stops.end(tokens_R, [self._rows[slot].stops for slot in slots])

    def _choose(
        self, logits_RV: torch.Tensor, slots: Sequence[int], rows: Sequence[_Row], steps: Sequence[int]
    ) -> torch.Tensor:
        device = logits_RV.device
        logits_RV = self._adjusted(logits_RV, slots, rows, steps)
        tokens_R = logits_RV.argmax(-1)
        for sampling, members in _by_settings(rows).items():
            index = upload(members, device)
            # a row of a padded batch that has ended goes on with its last number, and nobody looks
            numbers = [rows[row].uniforms[min(steps[row], rows[row].sampling.max_new_tokens - 1)] for row in members]
            uniforms = upload(numbers, device)
            temperature, top_p, top_k, min_p = sampling
            drawn = draw(logits_RV[index], uniforms, temperature=temperature, top_p=top_p, top_k=top_k, min_p=min_p)
            tokens_R.index_copy_(0, index, drawn)
        if given := [at for at, row in enumerate(rows) if row.forced_ids]:
            tokens = [rows[at].forced_ids[min(steps[at], len(rows[at].forced_ids) - 1)] for at in given]
            tokens_R.index_copy_(0, upload(given, device), upload(tokens, device))
        if self._seen_SV is not None:
            # a number that is assigned by index is copied to the device each time, and the host waits for that
            at_R = upload(slots, device) * self._seen_SV.shape[1] + tokens_R
            self._seen_SV.view(-1).index_fill_(0, at_R, True)
        if any(row.matcher for row in rows):
            self._chosen = Chosen([row.matcher for row in rows], tokens_R)
        return tokens_R

    def _adjusted(
        self, logits_RV: torch.Tensor, slots: Sequence[int], rows: Sequence[_Row], steps: Sequence[int]
    ) -> torch.Tensor:
        device = logits_RV.device
        if self._seen_SV is not None:
            penalties = upload([row.sampling.repetition_penalty for row in rows], device)[:, None]
            punished = torch.where(logits_RV > 0, logits_RV / penalties, logits_RV * penalties)
            seen_RV = self._seen_SV[upload(slots, device)]
            logits_RV = torch.where(seen_RV, punished, logits_RV)
        early = [step < row.sampling.min_new_tokens for row, step in zip(rows, steps, strict=True)]
        if any(early):
            stops_RV = self._stops.table_GV[upload([row.stops for row in rows], device)]
            logits_RV = logits_RV.masked_fill(stops_RV & upload(early, device)[:, None], -torch.inf)
        if bound := [at for at, row in enumerate(rows) if row.matcher]:
            # the device is at the forward of these very logits: the host needs the tokens before them alone
            self._consume()
            masks_RW = self._grammars.masks([matcher for row in rows if (matcher := row.matcher)])
            may_RV = allowed(upload(masks_RW, device), logits_RV.shape[1])
            index = upload(bound, device)
            logits_RV = logits_RV.index_put((index,), logits_RV[index].masked_fill(~may_RV, -torch.inf))
        return logits_RV

    def _consume(self) -> None:
        """Tell the matchers which tokens were chosen last."""
        if self._chosen is not None:
            for matcher, token in zip(self._chosen.matchers, self._chosen.tokens(), strict=True):
                if matcher is not None:
                    matcher.consume(token)
            self._chosen = None


class Chosen:
    """Tokens of the last choice, on their way to the host from the moment they are chosen."""

    def __init__(self, matchers: list[Matcher | None], tokens_R: torch.Tensor) -> None:
        self.matchers = matchers
        self._tokens_R = tokens_R.to("cpu", non_blocking=True)
        self._arrived = torch.cuda.Event() if tokens_R.is_cuda else None
        if self._arrived is not None:
            self._arrived.record()

    def tokens(self) -> list[int]:
        """[R], when they have arrived."""
        if self._arrived is not None:
            self._arrived.synchronize()
        return self._tokens_R.tolist()


def draw_uniforms(seed: int, row_id: int, num_steps: int) -> np.ndarray:
    """[steps] of float32 in [0, 1) by Philox; they depend on the seed and the row's id alone, and begin alike."""
    return np.random.Generator(np.random.Philox(key=[seed, row_id % 2**64])).random(num_steps, dtype=np.float32)


def draw(
    logits_BV: torch.Tensor,
    uniforms_B: torch.Tensor,
    *,
    temperature: float,
    top_p: float = 1.0,
    top_k: int = 0,
    min_p: float = 0.0,
) -> torch.Tensor:
    """Token ids [B] by inverse CDF in float32. The cuts apply in the order top-k, top-p, min-p, as in transformers."""
    logits_BV = logits_BV.float() / temperature
    vocab_size = logits_BV.shape[-1]
    top_k = min(top_k or vocab_size, vocab_size)
    if top_p >= 1 and top_k == vocab_size:
        probs_BV = logits_BV.softmax(-1)
        return _invert(torch.where(probs_BV >= min_p * probs_BV.amax(-1, keepdim=True), probs_BV, 0.0), uniforms_B)
    if top_k < vocab_size:
        values_BK, tokens_BK = logits_BV.topk(top_k)
        return _draw_sorted(values_BK.softmax(-1), tokens_BK, uniforms_B, top_p, min_p)
    # a row takes the short way or the long one by its own probabilities, never by its neighbours'
    head_BK, tokens_BK = logits_BV.softmax(-1).topk(min(HEAD, vocab_size))
    chosen_B = _draw_sorted(head_BK, tokens_BK, uniforms_B, top_p, min_p)
    rows = (head_BK.sum(-1) < top_p).nonzero()[:, 0]
    if len(rows):
        probs_RV, tokens_RV = logits_BV[rows].softmax(-1).sort(dim=-1, descending=True, stable=True)
        chosen_B[rows] = _draw_sorted(probs_RV, tokens_RV, uniforms_B[rows], top_p, min_p)
    return chosen_B


def _by_settings(rows: Sequence[_Row]) -> dict[tuple[float, float, int, float], list[int]]:
    """The rows that are sampled, by the settings of their draw: one kernel a setting, and never a neighbour's sizes."""
    groups: dict[tuple[float, float, int, float], list[int]] = {}
    for at, row in enumerate(rows):
        own = row.sampling
        if own.temperature > 0:
            groups.setdefault((own.temperature, own.top_p, own.top_k, own.min_p), []).append(at)
    return groups


def _draw_sorted(
    probs_BK: torch.Tensor, tokens_BK: torch.Tensor, uniforms_B: torch.Tensor, top_p: float, min_p: float
) -> torch.Tensor:
    before_BK = probs_BK.cumsum(-1) - probs_BK
    is_kept_BK = (before_BK < top_p) & (probs_BK >= min_p * probs_BK[:, :1])
    kept_BK = torch.where(is_kept_BK, probs_BK, 0.0)
    return tokens_BK.gather(1, _invert(kept_BK, uniforms_B)[:, None])[:, 0]


def _invert(probs_BK: torch.Tensor, uniforms_B: torch.Tensor) -> torch.Tensor:
    cdf_BK = probs_BK.cumsum(-1)
    cdf_BK = cdf_BK / cdf_BK[:, -1:]
    return (cdf_BK <= uniforms_B[:, None]).sum(-1).clamp(max=probs_BK.shape[-1] - 1)
