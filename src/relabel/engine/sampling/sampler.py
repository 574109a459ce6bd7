"""The choice of a token: one uniform per (seed, row, step), so that sampled text does not depend on the batch.

Both engines choose here. A row's token follows from its own logits, settings and history alone. Knows one set of logits
at a time; nothing of models, prompts' text or requests.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from relabel.engine.api.request import Request, Sampling
from relabel.engine.model.upload import upload
from relabel.engine.sampling.accepted import are_accepted
from relabel.engine.sampling.draw import draw, draw_uniforms
from relabel.engine.sampling.grammar import Grammars, Matcher, allowed
from relabel.engine.sampling.stops import StopTokens


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

    def forced(self, slot: int) -> list[int]:
        """The tokens that the grammar of the row in `slot` forces, as the tokenizer would write them."""
        self._consume()
        row = self._rows[slot]
        return row.matcher.forced() if row.matcher else []

    def fitting(self, slot: int, draft: list[int]) -> list[int]:
        """As much of a draft for the row in `slot` as its choice can be made for at once."""
        row = self._rows[slot]
        if row.sampling.repetition_penalty != 1:  # each choice would have to know the one before
            return []
        stops, vocab_size = self._stops.of(row.sampling.stop_token_ids), self._stops.table_GV.shape[1]
        ends = (at for at, token in enumerate(draft) if token in stops or token >= vocab_size)
        draft = draft[: next(ends, len(draft))]
        if row.matcher and draft:
            self._consume()
            return draft[: row.matcher.num_fitting(draft)]
        return draft

    def choose(
        self,
        logits_RV: torch.Tensor,
        slots: Sequence[int],
        steps: Sequence[int],
        assumed: Sequence[int | None] | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The tokens of the rows in `slots`, each at its own step from 0: ids [R], whether its logits are finite [R],
        and log-probabilities [R], which are 0 for rows that did not ask for them.

        Rows that are not finite get some valid id. A row with a draft stands there once for each position, side by
        side; `assumed` is the drafted token behind each (see are_accepted).
        """
        # one pass: the maximum is NaN with any NaN, inf with any inf, and -inf when no token is possible
        top_R, tokens_R = logits_RV.max(-1)
        rows = [self._rows[slot] for slot in slots]
        if not all(row.is_plain_at(step) for row, step in zip(rows, steps, strict=True)):
            tokens_R = self._choose(logits_RV, slots, rows, steps, assumed or [None] * len(rows))
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
        self,
        logits_RV: torch.Tensor,
        slots: Sequence[int],
        rows: Sequence[_Row],
        steps: Sequence[int],
        assumed: Sequence[int | None],
    ) -> torch.Tensor:
        device = logits_RV.device
        logits_RV = self._adjusted(logits_RV, slots, rows, steps, assumed)
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
            self._chosen = Chosen([row.matcher for row in rows], tokens_R, assumed)
        return tokens_R

    def _adjusted(
        self,
        logits_RV: torch.Tensor,
        slots: Sequence[int],
        rows: Sequence[_Row],
        steps: Sequence[int],
        assumed: Sequence[int | None],
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
            masks_RW = self._grammars.masks(_by_matcher(rows, assumed))
            may_RV = allowed(upload(masks_RW, device), logits_RV.shape[1])
            index = upload(bound, device)
            logits_RV = logits_RV.index_put((index,), logits_RV[index].masked_fill(~may_RV, -torch.inf))
        return logits_RV

    def _consume(self) -> None:
        """Tell the matchers which tokens were chosen last."""
        if self._chosen is not None:
            for matcher, token in self._chosen.accepted():
                matcher.consume(token)
            self._chosen = None


class Chosen:
    """Tokens of the last choice, on their way to the host from the moment they are chosen."""

    def __init__(
        self, matchers: Sequence[Matcher | None], tokens_R: torch.Tensor, assumed: Sequence[int | None]
    ) -> None:
        self._matchers, self._assumed = matchers, assumed
        self._tokens_R = tokens_R.to("cpu", non_blocking=True)
        self._arrived = torch.cuda.Event() if tokens_R.is_cuda else None
        if self._arrived is not None:
            self._arrived.record()

    def accepted(self) -> Iterator[tuple[Matcher, int]]:
        """Those that stand, each with the matcher of its row, when they have arrived."""
        if self._arrived is not None:
            self._arrived.synchronize()
        tokens = self._tokens_R.tolist()
        for matcher, token, stands in zip(self._matchers, tokens, are_accepted(tokens, self._assumed), strict=True):
            if matcher is not None and stands:
                yield matcher, token


def _by_matcher(rows: Sequence[_Row], assumed: Sequence[int | None]) -> list[tuple[Matcher, list[int]]]:
    """The rows with a grammar, each with its draft."""
    found: list[tuple[Matcher, list[int]]] = []
    is_new = True
    for row, token in zip(rows, assumed, strict=True):
        if row.matcher is not None:
            if is_new:
                found.append((row.matcher, []))
            if token is not None:
                found[-1][1].append(token)
        is_new = token is None
    return found


def _by_settings(rows: Sequence[_Row]) -> dict[tuple[float, float, int, float], list[int]]:
    """The rows that are sampled, by the settings of their draw: one kernel a setting, and never a neighbour's sizes."""
    groups: dict[tuple[float, float, int, float], list[int]] = {}
    for at, row in enumerate(rows):
        own = row.sampling
        if own.temperature > 0:
            groups.setdefault((own.temperature, own.top_p, own.top_k, own.min_p), []).append(at)
    return groups
