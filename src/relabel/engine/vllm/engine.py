"""vLLM behind the contract of engines: rows of all calls share its batch, and a call returns with its own last row.

What a row may ask, where its text ends and which text it is stays relabel's. Knows requests, results and vLLM; nothing
of files or jobs.
"""

# pyright: reportMissingImports=false
from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from vllm import SamplingParams
from vllm.lora.request import LoRARequest
from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

from relabel.engine.api.request import Request, Result, Sampling, unfit
from relabel.engine.api.verdict import Verdict
from relabel.engine.model.faults import is_device_fault
from relabel.engine.sampling.detokenizer import Detokenizer
from relabel.engine.sampling.grammar import Grammars
from relabel.engine.sampling.stops import StopStrings, added_tokens
from relabel.engine.vllm.images import Inputs
from relabel.engine.vllm.outcome import count, cut, scored, written
from relabel.engine.vllm.running import RunningVllm
from relabel.engine.vllm.sampling import Stops, refuse, sampling_fields, scoring_fields
from relabel.engine.vllm.stop_text import StopText
from relabel.errors import ModelRefused, RowRejected
from relabel.rejected import Code, Rejected

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

WAITING = 2
"""Rows that vLLM has before it, for each that a step takes: prompts and images of more would wait in its memory."""


class VllmEngine:
    """One model in the processes of one vLLM, for calls from any number of threads.

    Where one of them died, each call raises vLLM's EngineDeadError: only another process can go on.
    """

    def __init__(
        self,
        running: RunningVllm,
        tokenizer: PreTrainedTokenizerBase | None,
        sampling: Sampling,
        stops: Stops,
        verdict: Verdict,
        *,
        adapter: str | None = None,
    ) -> None:
        """`adapter` is the folder of a LoRA adapter that all rows go through."""
        self.sampling, self.verdict, self.goodput = sampling, verdict, running.goodput
        self.end_token = stops.end_token
        self._running, self._stops = running, stops
        config = running.llm.vllm_config
        self._inputs = Inputs(config.model_config)
        num_embeddings = max(stops.vocab_size, (self._inputs.image_token or 0) + 1)
        self._bounds = {"max_tokens": config.model_config.max_model_len, "num_embeddings": num_embeddings}
        self._guesses = config.speculative_config is not None
        self._room = asyncio.Semaphore(WAITING * config.scheduler_config.max_num_seqs)
        self._numbers = itertools.count()
        self._adapter = LoRARequest("adapter", 1, adapter) if adapter else None
        self._marks = added_tokens(tokenizer)
        self._grammars = Grammars(tokenizer, stops.vocab_size)
        self._detokenizer = Detokenizer(tokenizer)
        self._stop_text = StopText(StopStrings(tokenizer))
        if self._adapter is not None:
            running.run(running.llm.add_lora(self._adapter))
        self.prepare(sampling)

    def prepare(self, sampling: Sampling) -> None:
        """Make ready for rows with these settings. Raises ModelRefused where vLLM cannot obey them."""
        if (why := refuse(sampling, self._stops, guesses=self._guesses)) is not None:
            raise ModelRefused(f"{why.detail}; change the settings, or use relabel's own engine")
        self._stop_text.require(sampling)
        if sampling.constraint is not None:
            self._grammars.require(sampling.constraint, self._stops.of(sampling))

    def generate(self, requests: Sequence[Request]) -> list[Result]:
        """One result per request, in order. Errors of a row are in its result; an engine that died raises.

        Calls from other threads are served at the same time.
        """
        samplings = [request.sampling or self.sampling for request in requests]
        refused = [self._refuse(request, own) for request, own in zip(requests, samplings, strict=True)]
        results = self._running.run(self._all(requests, samplings, refused)) if requests else []
        return self._detokenizer.with_texts(results, samplings)

    def close(self) -> None:
        """End its processes. Rows that are under way are lost."""
        self._running.close()

    def _refuse(self, request: Request, own: Sampling) -> Rejected | None:
        if request.forced_ids:
            return unfit(request, Sampling(max_new_tokens=len(request.forced_ids)), **self._bounds)
        if (why := unfit(request, own, **self._bounds)) is None and request.sampling is not None:
            try:
                self.prepare(own)
            except ModelRefused as error:  # what follows may quote the row's own schema
                return Rejected(Code.SAMPLING, str(error).partition(": ")[0])
        return why

    async def _all(
        self, requests: Sequence[Request], samplings: Sequence[Sampling], refused: Sequence[Rejected | None]
    ) -> list[Result]:
        work = [asyncio.ensure_future(one) for one in map(self._one, requests, samplings, refused)]
        try:
            return list(await asyncio.gather(*work))
        finally:
            for one in work:  # where one raised nobody waits for the others
                one.cancel()

    async def _one(self, request: Request, own: Sampling, why: Rejected | None) -> Result:
        if why is not None:
            return Result(id=request.id, error=why)
        async with self._room:
            try:
                if request.forced_ids:
                    return await self._score(request, list(request.forced_ids))
                return await self._write(request, own)
            except RowRejected as error:
                return Result(id=request.id, error=error.rejected)
            except Exception as error:  # the boundary of a row: vLLM raises anything
                if is_device_fault(error):  # its processes have died, too
                    raise
                detail = f"vLLM does not take it ({type(error).__name__})"
                return Result(id=request.id, error=Rejected(Code.PROMPT, detail))

    async def _write(self, request: Request, own: Sampling) -> Result:
        fields = sampling_fields(own, request.id, self._stops)
        if own.constraint is not None:
            grammar = own.constraint.grammar(self._marks)
            fields["structured_outputs"] = StructuredOutputsParams(grammar=grammar)
        output = await self._ask(request, (), fields)
        result, tokens = written(request, own, output)
        count(self.goodput, request, output, len(tokens))
        if own.stop_strings and result.error is None:
            length = self._stop_text.end(own, tokens)
            if length is None and isinstance(output.outputs[0].stop_reason, str):  # it stopped for nothing
                output = await self._ask(request, (), {**fields, "stop": [], "detokenize": False})
                result, tokens = written(request, own, output)
                length = self._stop_text.end(own, tokens)
            result = cut(result, length)
        if result.error is not None:
            return result
        self.goodput.output_tokens += result.num_tokens
        if own.logprobs and own.constraint is not None:
            told = await self._score(request, tokens)
            return replace(result, logprobs=told.logprobs) if told.error is None else told
        return result

    async def _score(self, request: Request, given: list[int]) -> Result:
        output = await self._ask(request, given, scoring_fields())
        count(self.goodput, request, output, len(given))
        return scored(request, given, output)

    async def _ask(self, request: Request, behind: Sequence[int], fields: Mapping[str, object]) -> Any:
        """What vLLM says of a row once it has ended. Raises RowRejected where the row cannot be handed over."""
        if request.tensors:  # milliseconds for each large image, beside the steps of the others
            prompt = await asyncio.to_thread(self._inputs.of, request, behind)
        else:
            prompt = self._inputs.of(request, behind)
        params = SamplingParams(**fields, output_kind=RequestOutputKind.FINAL_ONLY)
        number = str(next(self._numbers))
        told = [one async for one in self._running.llm.generate(prompt, params, number, lora_request=self._adapter)]
        return told[-1]
