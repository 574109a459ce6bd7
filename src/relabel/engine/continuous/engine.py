"""The continuous engine: rows of all calls share the slots of one KV cache, and a row that ends makes room at once.

One thread computes at a time, for all calls that wait; a call returns when its own rows are done. Knows requests, the
model and its memory; nothing of text, files or jobs.
"""

from __future__ import annotations

import gc
import time
from collections import abc
from typing import TYPE_CHECKING

import torch

from relabel.engine.api.goodput import Goodput
from relabel.engine.api.request import Request, Result, Sampling, too_large
from relabel.engine.api.verdict import Verdict
from relabel.engine.continuous.calls import Call, Calls
from relabel.engine.continuous.prefixes import Prefixes, by_prefix
from relabel.engine.continuous.sequences import PendingStep, Sequence
from relabel.engine.model.faults import is_device_fault, is_out_of_memory
from relabel.engine.runner.forward import Forward, RaggedAttention
from relabel.engine.runner.kernels import Kernels
from relabel.engine.sampling.detokenizer import Detokenizer
from relabel.engine.sampling.intake import Intake
from relabel.engine.sampling.sampler import Sampler
from relabel.engine.sampling.stops import StopWindow
from relabel.engine.scheduling.scheduler import Scheduler
from relabel.engine.scheduling.step import Layout, Limits, Step
from relabel.errors import ModelRefused
from relabel.rejected import Code, Rejected

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

MAX_LOST = 16
"""Rows that may fail alone one after the other; then it is not the rows, and all calls fail."""


class ContinuousEngine:
    """One model on one device, for calls from any number of threads."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase | None,
        sampling: Sampling,
        *,
        limits: Limits,
        verdict: Verdict | None = None,
        kernels: Kernels | None = None,
    ) -> None:
        self.model, self.sampling, self.limits, self.goodput = model, sampling, limits, Goodput()
        self.verdict = verdict or Verdict(batching="continuous", attention="ragged", difference=None)
        self.device = model.device
        self.intake = Intake(model, tokenizer, sampling)
        self.end_token = self.intake.end_token
        self._detokenizer = Detokenizer(tokenizer)
        self._kernels = kernels or Kernels.of(self.device)
        self._forward = Forward(model, self._kernels)
        self._attention = RaggedAttention(model)
        self._scheduler = Scheduler(limits)
        self._prefixes = Prefixes(model, self._scheduler.limits.step_tokens, self._kernels)
        self._is_late = self.device.type == "cuda"
        """Look at the tokens of a forward when the next one is under way already, so that the device never waits."""
        self._rows: dict[int, Sequence] = {}
        self._num_rows = 0
        self._num_lost = 0
        """Rows that failed alone since the last that did not."""
        self._pending: PendingStep | None = None
        self._calls = Calls()

    def prepare(self, sampling: Sampling) -> None:
        """Make ready for rows with these settings. Raises ModelRefused where the tokenizer cannot do them."""
        self.intake.prepare(sampling)

    def generate(self, requests: abc.Sequence[Request]) -> list[Result]:
        """One result per request, in order. Errors of a row are in its result; a broken device raises.

        Calls from other threads are served at the same time, by whichever of them computes.
        """
        results = self._calls.serve(requests, self._lead)
        # by the caller's own thread: the one that computes for all calls would keep the device waiting
        return self._detokenizer.with_texts(results, map(self.intake.sampling_of, requests))

    def _lead(self, call: Call) -> None:
        with torch.inference_mode(), self._attention:
            try:
                while not call.is_done:
                    start = time.perf_counter()
                    self._take_calls()
                    self._advance()
                    self.goodput.seconds += time.perf_counter() - start
            except BaseException as error:  # noqa: BLE001  every call in flight has to hear of it, Ctrl-C included
                self._fail(error)

    def _take_calls(self) -> None:
        while (call := self._calls.take()) is not None:
            taken = []
            for at, request in enumerate(call.requests):
                if (why := self._refuse(request)) is None:
                    taken.append(at)
                else:
                    self._calls.finish(call, at, Result(id=request.id, error=why))
            requests = [call.requests[at] for at in taken]
            for at, request, (prefix, group) in zip(taken, requests, self._prefixes.find(requests), strict=True):
                own = self.intake.sampling_of(request)
                self._take(Sequence(call=call, at=at, request=request, sampling=own, prefix=prefix, prefix_group=group))

    def _refuse(self, request: Request) -> Rejected | None:
        new_tokens = self.intake.sampling_of(request).max_new_tokens
        if (why := self.intake.refuse(request)) is not None:
            return why
        return None if self._scheduler.fits(len(request.prompt_ids), new_tokens) else too_large(request)

    def _take(self, row: Sequence) -> None:
        self._rows[self._num_rows] = row
        self._scheduler.add(
            self._num_rows,
            prompt_tokens=len(row.request.prompt_ids),
            new_tokens=row.sampling.max_new_tokens,
            shared=row.shared,
            is_whole=bool(row.request.tensors),
            prefix_group=row.prefix_group,
        )
        self._num_rows += 1

    def _advance(self) -> None:
        """One forward, and a look at what came out of it, or on CUDA of the one before."""
        pending = None
        if (step := self._scheduler.step()) is not None:
            start, why = time.perf_counter(), None
            try:
                pending = self._launch(step)
            except Exception as error:
                # a model may fail in any way on a row that it cannot take; what this hides is bounded by MAX_LOST
                if is_device_fault(error) or isinstance(error, ModelRefused):
                    raise
                why = None if is_out_of_memory(error) else f"{type(error).__name__} in the model"
            if pending is None:  # outside of the except block, whose traceback holds the tensors of the forward
                self._shrink(why)
                return
            self._count(step, time.perf_counter() - start)
        if self._is_late:
            pending, self._pending = self._pending, pending
        if pending is not None:
            self._settle(pending)

    def _launch(self, step: Step) -> PendingStep:
        if self._forward.kv_cache.layout != self._scheduler.layout:
            self._forward.lay_out(self._scheduler.layout)
            num_slots, intake = self._scheduler.layout.num_slots, self.intake
            self._sampler = Sampler(num_slots, intake.stop_tokens, intake.grammars)
            self._stop_window = StopWindow(num_slots, intake.stop_strings, self.device)
        self._settle_in(step)
        logits_RV, rows = self._forward.run(step, {chunk.row: self._rows[chunk.row].request for chunk in step.chunks})
        if not rows:  # pieces of long prompts alone
            return PendingStep.send([], torch.zeros(4, 0))
        states = [self._rows[row] for row in rows]
        slots, owns = [row.slot for row in states], [row.sampling for row in states]
        steps = [row.num_chosen for row in states]
        tokens_R, finite_R, logprobs_R = self._sampler.choose(logits_RV, slots, steps)
        self._forward.set_newest(slots, tokens_R)
        for row in states:
            row.num_chosen += 1
        ends_R = self._sampler.ends(tokens_R, slots)
        # 1 a stop token, 2 a stop string, whose tokens are kept
        how_R = torch.where(ends_R, 1, 2 * self._stop_window.end(tokens_R, slots, owns, steps))
        outcome = torch.stack([one_R.double() for one_R in (tokens_R, finite_R, how_R, logprobs_R)])
        return PendingStep.send(rows, outcome)

    def _settle_in(self, step: Step) -> None:
        """Make slots ready for the rows that come into them with this step."""
        new = [chunk for chunk in step.chunks if chunk.is_first]
        for chunk in new:  # before any slot is cleared: a source may be the slot of a row that has left
            if chunk.source is not None:
                self._forward.kv_cache.copy(chunk.source, chunk.slot, chunk.start)
        self._forward.kv_cache.clear([chunk.slot for chunk in new if chunk.source is None])
        for chunk in new:
            row = self._rows[chunk.row]
            row.slot, row.copied = chunk.slot, chunk.start if chunk.source is not None else 0
            self._sampler.put(chunk.slot, row.request, row.sampling)
            self._stop_window.clear(chunk.slot)
        begun = [chunk for chunk in new if chunk.source is None]
        for prefix, slots in by_prefix((self._rows[chunk.row].prefix, chunk.slot) for chunk in begun):
            self._forward.kv_cache.copy_prefix(slots, prefix.kv_cache, len(prefix.tokens))

    def _settle(self, pending: PendingStep) -> None:
        """Look at the tokens of a forward: rows that ended leave, their slots are free."""
        for number, token, is_finite, how, logprob in pending.read():
            if (row := self._rows.get(number)) is None:
                continue  # it had ended one forward before
            if (result := row.took(int(token), logprob, is_finite=bool(is_finite), how=int(how))) is not None:
                self._end(number, result)

    def _end(self, number: int, result: Result) -> None:
        row = self._rows[number]
        if result.error is None:
            row.num_computed -= row.num_useful
            self.goodput.useful_tokens += row.num_useful
            self.goodput.shared_tokens += row.num_given
            self.goodput.output_tokens += result.num_tokens
        self._num_lost = 0
        self._scheduler.end(number)
        self._drop(number, result)

    def _drop(self, number: int, result: Result) -> None:
        row = self._rows.pop(number)
        self.goodput.wasted_tokens += row.num_computed
        self._forward.forget(number)
        self._calls.finish(row.call, row.at, result)

    def _shrink(self, why: str | None) -> None:
        """The last forward failed: its rows begin again, fewer at a time, until the one at fault is alone."""
        self.goodput.num_out_of_memory += why is None
        self._pending = None
        self._forward.lay_out(Layout(0, 0))
        if why is None:
            gc.collect()
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
        self._prefixes.clear()
        again, lost = self._scheduler.shrink()
        for row in (self._rows[number] for number in again):
            self.goodput.wasted_tokens += row.num_computed
            row.begin_again()
        if lost is not None:
            row = self._rows[lost]
            error = Rejected(Code.PROMPT, f"the model cannot take it ({why})") if why else too_large(row.request)
            self._drop(lost, row.failed(error))
            self._num_lost += 1
            if why is not None and self._num_lost > MAX_LOST:
                raise RuntimeError(f"{self._num_lost} rows in a row failed alone: {why}")

    def _fail(self, error: BaseException) -> None:
        self._calls.fail(error)
        self._rows.clear()
        self._pending, self._scheduler = None, Scheduler(self._scheduler.full_limits)
        self._forward, self._num_lost = Forward(self.model, self._kernels), 0
        self._prefixes.clear()

    def _count(self, step: Step, seconds: float) -> None:
        for decoded in step.decode_rows:
            self._rows[decoded.row].num_computed += 1
        for chunk in step.chunks:
            self._rows[chunk.row].num_computed += chunk.end - chunk.start
        self.goodput.held_slots += self._scheduler.num_held
        self.goodput.all_slots += self._scheduler.layout.num_slots
        self.goodput.count_forward(seconds, decoded=len(step.decode_rows) / step.num_tokens)
