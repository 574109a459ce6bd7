"""One padded batch through transformers' `generate`, left behind row by row: ended rows are not computed to the end.

`generate` is the public one, so every family keeps its own positions, masks and caches. When a quarter of the rows have
ended it is left, the cache is cut down to the others, and it goes on from there. Prompts that many rows have in common
(samples, choices that are scored) are computed once, and the cache goes to all of them. Knows nothing of memory or
queues.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import torch
from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList

from relabel.engine.api.goodput import Goodput
from relabel.engine.api.request import Request, Result
from relabel.engine.model.collate import collate
from relabel.engine.sampling.intake import Intake
from relabel.engine.sampling.sampler import Sampler
from relabel.engine.static.callbacks import BatchState, SamplerCallback, StopCriterion
from relabel.engine.static.features import ImageFeatures, images_of, without_pixels
from relabel.rejected import Code, Rejected

SHRINK_FROM = 4
"""Rows below which a smaller batch is not worth a new call of `generate`."""
COMMON = 0.75
"""The most prompts for a row with which computing each of them once is worth a call of `generate` more."""
SHRINKABLE = frozenset({"input_ids", "attention_mask", "pixel_values", "pixel_norm", "pixel_attention_mask"})
SHRINKABLE |= {"image_sizes", "token_type_ids"}  # which tokens of a prompt see each other
"""What only prompts need. Batches with other tensors (grids) may need them again later, so they are computed whole."""


class Cache(Protocol):
    """Keys and values of a batch."""

    def batch_select_indices(self, indices: torch.Tensor) -> object:
        """Keep these rows alone."""
        ...


class Generated(Protocol):
    """What `generate` returns."""

    @property
    def sequences(self) -> torch.Tensor: ...
    @property
    def past_key_values(self) -> Cache: ...


class WithLogits(Generated, Protocol):
    """The same with the logits of each step."""

    @property
    def logits(self) -> Sequence[torch.Tensor]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """Rows whose first tokens were chosen."""

    sequences: torch.Tensor
    past_key_values: Cache


class Generates(Protocol):
    """A model of transformers that makes texts."""

    @property
    def device(self) -> torch.device: ...

    def generate(self, **inputs: object) -> Generated: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoder:
    """A model and how its tokens are chosen."""

    model: Generates
    intake: Intake
    goodput: Goodput
    """Counted into."""
    features: ImageFeatures
    can_shrink: bool

    def run(self, requests: list[Request]) -> list[Result]:
        """The results in order."""
        started, device, intake = time.perf_counter(), self.model.device, self.intake
        samplings = [intake.sampling_of(request) for request in requests]
        shrink = self.can_shrink and all(request.tensors.keys() <= SHRINKABLE for request in requests)
        prompts, prompt_of = _in_common(requests) if shrink else (requests, list(range(len(requests))))
        features = self.features.of(prompts)
        collated = prompts if features is None else [*map(without_pixels, prompts)]
        batch = collate(collated, intake.pad_token, device)
        prompt_width = batch["input_ids"].shape[1]
        full_width = prompt_width + max(own.max_new_tokens for own in samplings)
        sampler = Sampler(len(requests), intake.stop_tokens, intake.grammars)
        for row, (request, own) in enumerate(zip(requests, samplings, strict=True)):
            sampler.put(row, request, own)
        state = BatchState(samplings, device)
        scores = SamplerCallback(state, sampler, self.goodput)
        ends = StopCriterion(state, prompt_width, intake.stop_tokens, intake.stop_strings)
        given: dict[str, object] = {} if features is None else {"mm_encoder_outputs": {"image": features}}
        """No cache before the first call, whatever the family names its state."""
        results: dict[int, Result] = {}
        num_chosen: dict[int, int] = {}
        may_leave = range(SHRINK_FROM, len(requests) + 1) if shrink else range(0)
        """Numbers of rows with which `generate` is left before all have ended."""
        if len(prompts) < len(requests):
            output, batch = self._begin(batch, given, prompt_of, scores, ends)
        else:
            ends.leaves_early = len(requests) in may_leave
            output = self._generate(batch, given, full_width, scores, ends)
        del features, given  # they are in the cache now
        while True:
            ids, cache = output.sequences, output.past_key_values
            goes_on = [not done and ids.shape[1] < full_width for done in state.done.tolist()]
            for row, new, length, chosen, stopped, broken, on in zip(
                state.rows, ids[:, prompt_width:].tolist(), *state.read(), goes_on, strict=True
            ):
                if not on:
                    logprobs = scores.logprobs(row, chosen) if samplings[row].logprobs else None
                    results[row] = _result(requests[row].id, new, length, stopped, broken, logprobs)
                    num_chosen[row] = chosen
            kept = [index for index, alive in enumerate(goes_on) if alive]
            if not kept:
                self._count(prompts, prompt_of, results, num_chosen, scores, started)
                return [results[row] for row in range(len(requests))]
            state.keep(kept)
            index_R = torch.tensor(kept, device=device)
            cache.batch_select_indices(index_R)
            mask = batch["attention_mask"][index_R]
            grown = mask.new_ones(len(kept), ids.shape[1] - mask.shape[1])
            batch = {"input_ids": ids[index_R], "attention_mask": torch.cat([mask, grown], dim=1)}
            ends.leaves_early = len(kept) in may_leave
            output = self._generate(batch, {"past_key_values": cache}, full_width, scores, ends)

    def _generate(
        self,
        batch: Mapping[str, torch.Tensor],
        given: Mapping[str, object],
        full_width: int,
        scores: SamplerCallback,
        ends: StopCriterion,
    ) -> Generated:
        """Go on until enough of the rows have ended."""
        return self.model.generate(
            **batch,
            **given,
            generation_config=self._config(full_width - batch["input_ids"].shape[1]),
            logits_processor=LogitsProcessorList([scores]),
            stopping_criteria=StoppingCriteriaList([ends]),
        )

    def _begin(
        self,
        batch: Mapping[str, torch.Tensor],
        given: Mapping[str, object],
        prompt_of: Sequence[int],
        scores: SamplerCallback,
        ends: StopCriterion,
    ) -> tuple[Generated, dict[str, torch.Tensor]]:
        """The first token of every row, where the batch has each prompt once; and the prompts of all rows."""
        config = self._config(1, output_logits=True)
        made = cast(WithLogits, self.model.generate(**batch, **given, generation_config=config))
        index_R = torch.tensor(prompt_of, device=self.model.device)
        tokens_R = scores.choose(made.logits[0][index_R])
        made.past_key_values.batch_select_indices(index_R)
        rows = {name: batch[name][index_R] for name in ("input_ids", "attention_mask")}
        ids = torch.cat([rows["input_ids"], tokens_R[:, None]], dim=1)
        ends(ids, None)
        return Begun(sequences=ids, past_key_values=made.past_key_values), rows

    def _count(
        self,
        prompts: Sequence[Request],
        prompt_of: Sequence[int],
        results: Mapping[int, Result],
        num_chosen: Mapping[int, int],
        scores: SamplerCallback,
        started: float,
    ) -> None:
        goodput, lengths = self.goodput, [len(prompt.prompt_ids) for prompt in prompts]
        whole = [row for row, result in results.items() if result.error is None]
        num_decoded = sum(num_chosen[row] - 1 for row in whole)
        num_useful = num_decoded + sum(lengths[prompt] for prompt in {prompt_of[row] for row in whole})
        goodput.useful_tokens += num_useful
        goodput.shared_tokens += sum(lengths[prompt] for prompt in prompt_of) - sum(lengths)
        goodput.padded_tokens += len(lengths) * max(lengths) - sum(lengths)
        goodput.wasted_tokens += sum(lengths) + scores.num_decoded - num_useful
        goodput.output_tokens += sum(result.num_tokens for result in results.values())
        goodput.num_batches += 1
        # rows that had not ended, of those that each forward computed
        goodput.held_slots += num_decoded + len(results)
        goodput.all_slots += len(results) + scores.num_decoded
        goodput.prefill_seconds += scores.prefilled_at - started
        goodput.decode_seconds += time.perf_counter() - scores.prefilled_at

    def _config(self, max_new_tokens: int, *, output_logits: bool = False) -> GenerationConfig:
        """Greedy over what `SamplerCallback` leaves, ended by `StopCriterion`; generate draws nothing itself."""
        return GenerationConfig(
            max_new_tokens=max_new_tokens,
            min_new_tokens=0,
            do_sample=False,
            num_beams=1,
            num_return_sequences=1,
            repetition_penalty=1.0,
            no_repeat_ngram_size=0,
            renormalize_logits=False,
            remove_invalid_values=False,
            use_cache=True,
            return_dict_in_generate=True,
            output_logits=output_logits,
            pad_token_id=self.intake.pad_token,
        )


def _in_common(requests: list[Request]) -> tuple[list[Request], list[int]]:
    """One request of each prompt, and for each row which of them has its prompt. All are taken where few are equal."""
    numbers: dict[object, int] = {}
    prompt_of = [numbers.setdefault((tuple(one.prompt_ids), images_of(one)), len(numbers)) for one in requests]
    if len(numbers) > COMMON * len(requests):
        return requests, list(range(len(requests)))
    return [requests[prompt_of.index(number)] for number in range(len(numbers))], prompt_of


def _result(
    row_id: int, new: list[int], num_tokens: int, stopped: bool, nonfinite: bool, logprobs: list[float] | None
) -> Result:
    if nonfinite:
        return Result(id=row_id, error=Rejected(Code.NONFINITE, "the model's logits are not finite numbers"))
    reason = "stop" if stopped else "length"
    return Result(id=row_id, token_ids=new[:num_tokens], num_tokens=num_tokens, finish_reason=reason, logprobs=logprobs)
