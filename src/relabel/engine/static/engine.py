"""The static engine: batches of whole rows, left-padded, each generated to its end by transformers' own `generate`.

Knows requests, the model and its memory; nothing of text, files or jobs.
"""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import torch
from transformers import GenerationConfig

from relabel.engine.api.goodput import Goodput
from relabel.engine.api.request import Request, Result, Sampling, too_large
from relabel.engine.api.verdict import Verdict
from relabel.engine.model.faults import is_out_of_memory
from relabel.engine.model.traits import attention_of, is_paddable
from relabel.engine.sampling.detokenizer import Detokenizer
from relabel.engine.sampling.intake import Intake
from relabel.engine.scheduling.batching import Budget, longest_first, take_batch
from relabel.engine.static.bounds import first_bounds
from relabel.engine.static.decode import Decoder, Generates
from relabel.engine.static.features import ImageFeatures
from relabel.rejected import Code

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class StaticEngine:
    """One model on one device. Calls from several threads take turns: `generate` keeps state on the model."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase | None,
        sampling: Sampling,
        *,
        batch_tokens: int | None = None,
        verdict: Verdict | None = None,
    ) -> None:
        self.model, self.sampling, self.goodput = model, sampling, Goodput()
        self.verdict = verdict or Verdict(batching="static", attention=attention_of(model), difference=None)
        self.device: torch.device = model.device
        self.intake = Intake(model, tokenizer, sampling)
        self.end_token = self.intake.end_token
        self._detokenizer = Detokenizer(tokenizer)
        self._features = ImageFeatures(model)
        can_be_padded = is_paddable(model)
        self._decoder = Decoder(
            model=cast(Generates, model),
            intake=self.intake,
            goodput=self.goodput,
            features=self._features,
            # Qwen-VL keeps the positions of its rows on the model, out of reach
            can_shrink=can_be_padded and not any(hasattr(module, "rope_deltas") for module in model.modules()),
        )
        self._equal_lengths = not can_be_padded
        tokens, self._max_rows = first_bounds(model, self.device)
        self._budget = Budget(batch_tokens or tokens)
        self._lock = threading.Lock()

    def prepare(self, sampling: Sampling) -> None:
        """Make ready for rows with these settings. Raises ModelRefused where the tokenizer cannot do them."""
        self.intake.prepare(sampling)

    def generate(self, requests: Sequence[Request]) -> list[Result]:
        """One result per request, in order. Errors of a row are in its result; a broken device raises."""
        results = self._generate_locked(requests)
        return self._detokenizer.with_texts(results, map(self.intake.sampling_of, requests))

    def _generate_locked(self, requests: Sequence[Request]) -> list[Result]:
        with self._lock, torch.inference_mode():
            start = time.perf_counter()
            # generate fills whatever a call leaves open from the checkpoint's own settings
            own, self.model.generation_config = self.model.generation_config, GenerationConfig()
            try:
                return self._generate(requests)
            finally:
                self.model.generation_config = own
                self._features.forget()
                self.goodput.seconds += time.perf_counter() - start

    def _generate(self, requests: Sequence[Request]) -> list[Result]:
        results: dict[int, Result] = {}
        lengths = [len(request.prompt_ids) for request in requests]
        for row, request in enumerate(requests):
            if (why := self.intake.refuse(request)) is not None:
                results[row] = Result(id=request.id, error=why)
        queue = [row for row in longest_first(lengths) if row not in results]
        new_tokens = max((self.intake.sampling_of(requests[row]).max_new_tokens for row in queue), default=0)
        alone: list[int] = []
        while queue:
            self._features.expect(requests[row] for row in queue)
            num_rows = take_batch(
                [lengths[row] for row in queue[: self._max_rows]],
                new_tokens=new_tokens,
                budget=self._budget.tokens,
                max_rows=self._max_rows,
                equal_lengths=self._equal_lengths,
            )
            rows = queue[:num_rows]
            batch = self._run([requests[row] for row in rows])
            if batch is None:
                if num_rows > 1:
                    continue  # the same rows are still at the front, and the budget is smaller now
                self._budget.failed_alone()
                request = requests[rows[0]]
                batch = [Result(id=request.id, error=too_large(request))]
            queue = queue[num_rows:]
            results.update(zip(rows, batch, strict=True))
            # padding itself makes some attention kernels give NaN: such a row gets a second try without any
            if num_rows > 1:
                alone += [row for row in rows if _is_nonfinite(results[row])]
        self._features.forget()  # of a batch, whose smaller images were padded, too
        for row in alone:
            again = self._run([requests[row]])
            if again is None:
                self._budget.failed_alone()
            results[row] = (again or [results[row]])[0]
        return [results[row] for row in range(len(requests))]

    def _run(self, requests: list[Request]) -> list[Result] | None:
        """The results of one batch, or None when it did not fit."""
        width = max(len(request.prompt_ids) for request in requests)
        new_tokens = max(self.intake.sampling_of(request).max_new_tokens for request in requests)
        num_tokens = len(requests) * (width + new_tokens)
        try:
            results = self._decoder.run(requests)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            results = None
        # outside of the except block, whose traceback holds the tensors of the batch
        if results is None:
            self.goodput.num_out_of_memory += 1
            self._budget.failed(num_tokens)
            self._features.forget()
            gc.collect()
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
            return None
        self._budget.succeeded()
        return results


def _is_nonfinite(result: Result) -> bool:
    return result.error is not None and result.error.code is Code.NONFINITE
