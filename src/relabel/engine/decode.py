"""One padded batch through transformers' `generate`, left behind row by row: ended rows are not computed to the end.

`generate` is the public one, so every family keeps its own positions, masks and caches. When a quarter of the rows have
ended it is left, the cache is cut down to the others, and it goes on from there. Knows nothing of memory or queues.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList

from relabel.engine.collate import collate
from relabel.engine.request import Request, Result, Sampling
from relabel.engine.watch import Ends, Scores, Watch

SHRINK_FROM = 4
"""Rows below which a smaller batch is not worth a new call of `generate`."""
SHRINKABLE = frozenset({"input_ids", "attention_mask", "pixel_values", "pixel_attention_mask", "image_sizes"})
"""Batches with other tensors (token types, grids) may need them again later, so they are computed whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoder:
    """A model and how its tokens are chosen."""

    model: Any
    sampling: Sampling
    pad_token: int
    stop_table: torch.Tensor
    """[vocabulary] of bool, on the device."""
    stop_strings: Callable[..., torch.Tensor] | None
    can_shrink: bool

    def run(self, requests: list[Request]) -> list[Result]:
        """The results in order."""
        batch: dict[str, Any] = collate(requests, self.pad_token, self.stop_table.device)
        prompt_width = batch["input_ids"].shape[1]
        full_width = prompt_width + self.sampling.max_new_tokens
        shrink = self.can_shrink and batch.keys() <= SHRINKABLE
        watch = Watch(len(requests), self.stop_table.device)
        scores = Scores(watch, self.sampling, [request.id for request in requests])
        ends = Ends(watch, prompt_width, self.stop_table, self.stop_strings)
        results: dict[int, Result] = {}
        rows = list(range(len(requests)))
        while True:
            ends.leaves_early = shrink and len(rows) >= SHRINK_FROM
            output = self.model.generate(
                **batch,
                generation_config=self._config(full_width - batch["input_ids"].shape[1]),
                logits_processor=LogitsProcessorList([scores]),
                stopping_criteria=StoppingCriteriaList([ends]),
            )
            ids = output.sequences
            goes_on = [not done and ids.shape[1] < full_width for done in watch.done.tolist()]
            for row, new, *state in zip(rows, ids[:, prompt_width:].tolist(), *watch.read(), goes_on, strict=True):
                if not state.pop():
                    results[row] = _result(requests[row].id, new, *state)
            kept = [index for index, alive in enumerate(goes_on) if alive]
            if not kept:
                return [results[row] for row in range(len(requests))]
            rows = [rows[index] for index in kept]
            index_R = torch.tensor(kept, device=ids.device)
            cache = output.past_key_values
            cache.batch_select_indices(index_R)
            watch.keep(index_R)
            scores.keep(index_R)
            mask = batch["attention_mask"][index_R]
            grown = mask.new_ones(len(kept), ids.shape[1] - mask.shape[1])
            batch = {
                "input_ids": ids[index_R],
                "attention_mask": torch.cat([mask, grown], dim=1),
                "past_key_values": cache,
            }

    def _config(self, max_new_tokens: int) -> GenerationConfig:
        """Greedy over what `Scores` leaves, ended by `Ends`; generate draws nothing itself."""
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
            pad_token_id=self.pad_token,
        )


def _result(row_id: int, new: list[int], num_tokens: int, stopped: bool, nonfinite: bool) -> Result:
    if nonfinite:
        return Result(id=row_id, error="nonfinite: the model's logits are not finite numbers")
    return Result(id=row_id, token_ids=new[:num_tokens], finish_reason="stop" if stopped else "length")
