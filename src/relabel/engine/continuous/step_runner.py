"""One step of the scheduler on the device: slots and blocks are made ready, tokens computed and chosen, ends found.

Knows the model, its memory and its sampler; nothing of calls, results or what is done next.
"""

from __future__ import annotations

import itertools
from collections import Counter, abc
from typing import NamedTuple

import torch

from relabel.engine.api.request import Sampling
from relabel.engine.continuous.prefixes import by_prefix
from relabel.engine.continuous.sequences import PendingStep, Sequence
from relabel.engine.model.upload import upload
from relabel.engine.runner.forward import Forward
from relabel.engine.runner.kv_cache import KVCache
from relabel.engine.sampling.accepted import are_accepted
from relabel.engine.sampling.intake import Intake
from relabel.engine.sampling.sampler import Sampler
from relabel.engine.sampling.stops import StopWindow
from relabel.engine.scheduling.step import Layout, Step


class Place(NamedTuple):
    """Where a token is chosen."""

    row: int
    slot: int
    nth: int
    """Of the tokens that its row gets in this step."""
    step: int
    """Of all tokens of its row."""
    sampling: Sampling


class StepRunner:
    """Runs steps over slots of one layout at a time."""

    def __init__(self, forward: Forward, intake: Intake) -> None:
        self._forward, self._intake = forward, intake
        self._make_slots(0)

    @property
    def sampler(self) -> Sampler:
        return self._sampler

    @property
    def kv_cache(self) -> KVCache:
        return self._forward.kv_cache

    def lay_out(self, layout: Layout) -> None:
        """Slots and blocks of another number; what the old ones held is forgotten."""
        if self.kv_cache.layout != layout:
            self._forward.lay_out(layout)
            self._make_slots(layout.num_slots)

    def forget(self, row: int) -> None:
        """A row has ended."""
        self._forward.forget(row)

    def run(self, step: Step, rows: abc.Mapping[int, Sequence], drafts: abc.Mapping[int, list[int]]) -> PendingStep:
        """Compute a step of these rows, and of their drafts what it has room for; nobody waits for the outcome.

        With drafts the host waits for the tokens, to see which of them are accepted.
        """
        self._settle_in(step, rows)
        known = {row: [rows[row].tokens[-1], *draft] for row, draft in drafts.items()}
        requests = {chunk.row: rows[chunk.row].request for chunk in step.chunks}
        logits_PV, numbers = self._forward.run(step, requests, known)
        if not numbers:  # pieces of long prompts alone
            return PendingStep.send([], [], torch.zeros(4, 0))
        drafted = {row.row: drafts[row.row][: row.num_drafted] for row in step.decode_rows if row.num_drafted}
        places, assumed = _places(numbers, rows, drafted)
        slots, steps = [place.slot for place in places], [place.step for place in places]
        tokens_R, finite_R, logprobs_R = self._sampler.choose(logits_PV, slots, steps, assumed)
        if drafted:
            stands = are_accepted(tokens_R.tolist(), assumed)
            index = upload([at for at, is_accepted in enumerate(stands) if is_accepted], tokens_R.device)
            tokens_R, finite_R, logprobs_R = tokens_R[index], finite_R[index], logprobs_R[index]
            places = list(itertools.compress(places, stands))
        newest = {place.slot: at for at, place in enumerate(places)}
        newest_R = tokens_R[upload(list(newest.values()), tokens_R.device)] if drafted else tokens_R
        self._forward.set_newest(list(newest), newest_R)
        for place in places:
            rows[place.row].num_chosen += 1
        ends_R = self._sampler.ends(tokens_R, [place.slot for place in places])
        # 1 a stop token, 2 a stop string, whose tokens are kept
        how_R = torch.where(ends_R, 1, 2 * self._end_by_string(tokens_R, places))
        outcome = torch.stack([one_R.double() for one_R in (tokens_R, finite_R, how_R, logprobs_R)])
        counts = Counter(place.row for place in places)
        numbers, accepted = [place.row for place in places], {row: counts[row] - 1 for row in drafted}
        return PendingStep.send(numbers, [rows[number].turn for number in numbers], outcome, accepted)

    def _make_slots(self, num_slots: int) -> None:
        intake = self._intake
        self._sampler = Sampler(num_slots, intake.stop_tokens, intake.grammars)
        self._stop_window = StopWindow(num_slots, intake.stop_strings, self._forward.device)

    def _settle_in(self, step: Step, rows: abc.Mapping[int, Sequence]) -> None:
        """Make blocks and slots ready for this step, and for the rows that come in with it."""
        new = [chunk for chunk in step.chunks if chunk.is_first]
        self.kv_cache.take(step.taken)
        for chunk in new:
            row = rows[chunk.row]
            row.slot, row.copied = chunk.slot, chunk.start if chunk.source is not None else 0
            if chunk.source is not None:
                self.kv_cache.copy(chunk.source, chunk.slot, chunk.start)
            self._sampler.put(chunk.slot, row.request, row.sampling)
            self._stop_window.clear(chunk.slot)
        begun = [chunk for chunk in new if chunk.source is None]
        for prefix, slots in by_prefix((rows[chunk.row].prefix, chunk.slot) for chunk in begun):
            self.kv_cache.copy_prefix(slots, prefix.kv_cache, len(prefix.tokens))

    def _end_by_string(self, tokens_R: torch.Tensor, places: abc.Sequence[Place]) -> torch.Tensor:
        """[R] of bool: whether each token completes a stop string of its row, whose tokens come one after the other."""
        ends_R = torch.zeros_like(tokens_R, dtype=torch.bool)
        for nth in range(1 + max(place.nth for place in places)):
            own = [(at, place) for at, place in enumerate(places) if place.nth == nth]
            index = upload([at for at, _ in own], tokens_R.device)
            slots, samplings, steps = zip(*((place.slot, place.sampling, place.step) for _, place in own), strict=True)
            ends_R.index_copy_(0, index, self._stop_window.end(tokens_R[index], slots, samplings, steps))
        return ends_R


def _places(
    numbers: abc.Sequence[int], rows: abc.Mapping[int, Sequence], drafted: abc.Mapping[int, list[int]]
) -> tuple[list[Place], list[int | None]]:
    """Where a token is chosen, and the drafted token that the next one of its row takes for granted."""
    places: list[Place] = []
    assumed: list[int | None] = []
    for number, same in itertools.groupby(numbers):
        row = rows[number]
        places += [
            Place(row=number, slot=row.slot, nth=nth, step=row.num_chosen + nth, sampling=row.sampling)
            for nth, _ in enumerate(same)
        ]
        assumed += [*drafted.get(number, ()), None]
    return places, assumed
