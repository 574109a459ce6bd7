"""One padded batch through transformers' `generate`, left behind row by row: ended rows are not computed to the end.

`generate` is the public one, so every family keeps its own positions, masks and caches. When a quarter of the rows have
ended it is left, the cache is cut down to the others, and it goes on from there. Knows nothing of memory or queues.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

import torch
from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList

from relabel.engine.api.goodput import Goodput
from relabel.engine.api.request import Request, Result
from relabel.engine.model.collate import collate
from relabel.engine.sampling.intake import Intake
from relabel.engine.sampling.sampler import Sampler
from relabel.engine.static.callbacks import BatchState, SamplerCallback, StopCriterion
from relabel.engine.static.features import ImageFeatures, without_pixels
from relabel.rejected import Code, Rejected

SHRINK_FROM = 4
"""Rows below which a smaller batch is not worth a new call of `generate`."""
SHRINKABLE = frozenset({"input_ids", "attention_mask", "pixel_values", "pixel_attention_mask", "image_sizes"})
SHRINKABLE |= {"token_type_ids"}  # which tokens of a prompt see each other
"""What only prompts need. Batches with other tensors (grids) may need them again later, so they are computed whole."""


class Cache(Protocol):
    """Keys and values of a batch."""

    def batch_select_indices(self, indices: torch.Tensor) -> object:
        """Keep these rows alone."""
        ...


class Generated(Protocol):
    """What `generate` returns."""

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
        features = self.features.of(requests)
        collated = requests if features is None else [*map(without_pixels, requests)]
        batch = collate(collated, intake.pad_token, device)
        prompt_width = batch["input_ids"].shape[1]
        full_width = prompt_width + max(own.max_new_tokens for own in samplings)
        shrink = self.can_shrink and batch.keys() <= SHRINKABLE
        sampler = Sampler(len(requests), intake.stop_tokens, intake.grammars)
        for row, (request, own) in enumerate(zip(requests, samplings, strict=True)):
            sampler.put(row, request, own)
        state = BatchState(samplings, device)
        scores = SamplerCallback(state, sampler, self.goodput)
        ends = StopCriterion(state, prompt_width, intake.stop_tokens, intake.stop_strings)
        given: dict[str, object] = {} if features is None else {"mm_encoder_outputs": {"image": features}}
        """No cache before the first call, whatever the family names its state."""
        results: dict[int, Result] = {}
        num_useful = 0
        while True:
            ends.leaves_early = shrink and len(state.rows) >= SHRINK_FROM
            output = self.model.generate(
                **batch,
                **given,
                generation_config=self._config(full_width - batch["input_ids"].shape[1]),
                logits_processor=LogitsProcessorList([scores]),
                stopping_criteria=StoppingCriteriaList([ends]),
            )
            ids = output.sequences
            goes_on = [not done and ids.shape[1] < full_width for done in state.done.tolist()]
            for row, new, length, chosen, stopped, broken, on in zip(
                state.rows, ids[:, prompt_width:].tolist(), *state.read(), goes_on, strict=True
            ):
                if not on:
                    logprobs = scores.logprobs(row, chosen) if samplings[row].logprobs else None
                    results[row] = _result(requests[row].id, new, length, stopped, broken, logprobs)
                    num_useful += 0 if broken else len(requests[row].prompt_ids) + chosen - 1
            kept = [index for index, alive in enumerate(goes_on) if alive]
            if not kept:
                self._count(requests, results, scores, num_useful, started)
                return [results[row] for row in range(len(requests))]
            state.keep(kept)
            index_R = torch.tensor(kept, device=device)
            output.past_key_values.batch_select_indices(index_R)
            given = {"past_key_values": output.past_key_values}
            mask = batch["attention_mask"][index_R]
            grown = mask.new_ones(len(kept), ids.shape[1] - mask.shape[1])
            batch = {"input_ids": ids[index_R], "attention_mask": torch.cat([mask, grown], dim=1)}

    def _count(
        self,
        requests: list[Request],
        results: dict[int, Result],
        scores: SamplerCallback,
        num_useful: int,
        started: float,
    ) -> None:
        goodput, width = self.goodput, max(len(request.prompt_ids) for request in requests)
        num_prompt = sum(len(request.prompt_ids) for request in requests)
        goodput.useful_tokens += num_useful
        goodput.padded_tokens += len(requests) * width - num_prompt
        goodput.wasted_tokens += num_prompt + scores.num_decoded - num_useful
        goodput.output_tokens += sum(result.num_tokens for result in results.values())
        goodput.num_batches += 1
        # rows that had not ended, of those that each forward computed
        goodput.held_slots += num_useful - num_prompt + len(requests)
        goodput.all_slots += len(requests) + scores.num_decoded
        goodput.prefill_seconds += scores.prefilled_at - started
        goodput.decode_seconds += time.perf_counter() - scores.prefilled_at

    def _config(self, max_new_tokens: int) -> GenerationConfig:
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
            pad_token_id=self.intake.pad_token,
        )


def _result(
    row_id: int, new: list[int], num_tokens: int, stopped: bool, nonfinite: bool, logprobs: list[float] | None
) -> Result:
    if nonfinite:
        return Result(id=row_id, error=Rejected(Code.NONFINITE, "the model's logits are not finite numbers"))
    reason = "stop" if stopped else "length"
    return Result(id=row_id, token_ids=new[:num_tokens], num_tokens=num_tokens, finish_reason=reason, logprobs=logprobs)
