"""The continuous engine: rows of all calls share the blocks of one KV cache, and a row that ends makes room at once.

One thread computes at a time, for all calls that wait; a call returns when its own rows are done. Knows requests, the
model and its memory; nothing of text, files or jobs.
"""

from __future__ import annotations

import gc
import time
from collections import abc
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from relabel.engine.api.goodput import Goodput
from relabel.engine.api.request import Request, Result, Sampling, too_large
from relabel.engine.api.verdict import Verdict
from relabel.engine.continuous.calls import Call, Calls
from relabel.engine.continuous.drafter import Drafter
from relabel.engine.continuous.prefixes import Prefixes
from relabel.engine.continuous.sequences import PendingStep, Sequence
from relabel.engine.continuous.step_runner import StepRunner
from relabel.engine.continuous.threads import Threads
from relabel.engine.model.faults import is_device_fault, is_out_of_memory
from relabel.engine.runner.forward import Forward, RaggedAttention
from relabel.engine.runner.kernels import Kernels
from relabel.engine.sampling.detokenizer import Detokenizer
from relabel.engine.sampling.intake import Intake
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
        drafter: Drafter | None = None,
    ) -> None:
        """Without a `drafter` it drafts on a CPU, while that pays, and never on CUDA.

        There drafts make the device wait for the host at each step, and steps with drafts are not replayed as graphs.
        """
        self.model, self.sampling, self.goodput = model, sampling, Goodput()
        self.verdict = verdict or Verdict(batching="continuous", attention="ragged", difference=None)
        self.device = model.device
        self.intake = Intake(model, tokenizer, sampling)
        self.end_token = self.intake.end_token
        self._detokenizer = Detokenizer(tokenizer)
        self._kernels = kernels or Kernels.of(self.device)
        self.limits = replace(limits, block_tokens=self._kernels.block_tokens)
        self._runner = StepRunner(Forward(model, self._kernels), self.intake)
        self._threads = Threads(self.device)
        self._attention = RaggedAttention(model)
        self._scheduler = Scheduler(self.limits)
        self._prefixes = Prefixes(model, self._scheduler.limits.step_tokens, self._kernels)
        is_cuda = self.device.type == "cuda"
        self._drafter = drafter or (None if is_cuda else Drafter())
        self._is_late = is_cuda and drafter is None
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
            with self._threads.as_chosen():
                found = self._prefixes.find(requests)
            for at, request, (prefix, group) in zip(taken, requests, found, strict=True):
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
        drafts = self._drafter.draft(self._rows, self._runner.sampler) if self._drafter else {}
        if (step := self._scheduler.step({row: len(tokens) for row, tokens in drafts.items()})) is not None:
            self._begin_again(step.put_back)
            drafts = {row: tokens for row, tokens in drafts.items() if row not in step.put_back}
            start, why = time.perf_counter(), None
            try:
                self._runner.lay_out(self._scheduler.layout)
                with self._threads.of_step(step.num_tokens):
                    pending = self._runner.run(step, self._rows, drafts)
            except Exception as error:
                # a model may fail in any way on a row that it cannot take; what this hides is bounded by MAX_LOST
                if is_device_fault(error) or isinstance(error, ModelRefused):
                    raise
                why = None if is_out_of_memory(error) else f"{type(error).__name__} in the model"
            if pending is None:  # outside of the except block, whose traceback holds the tensors of the forward
                self._shrink(why)
                return
            self._count(step, pending, time.perf_counter() - start)
        if self._is_late:
            pending, self._pending = self._pending, pending
        if pending is not None:
            self._settle(pending)

    def _settle(self, pending: PendingStep) -> None:
        """Look at the tokens of a forward: rows that ended leave, and their slots and blocks are free."""
        for number, turn, token, is_finite, how, logprob in pending.read():
            if (row := self._rows.get(number)) is None or row.turn != turn:
                continue  # it had ended one forward before, or with an earlier token of this one, or was put back
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
        self._forget(number)
        self._calls.finish(row.call, row.at, result)

    def _shrink(self, why: str | None) -> None:
        """The last forward failed: its rows begin again, fewer at a time, until the one at fault is alone."""
        self.goodput.num_out_of_memory += why is None
        self._pending = None
        self._runner.lay_out(Layout(0, 0, self.limits.block_tokens))
        if why is None:
            gc.collect()
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
        self._prefixes.clear()
        again, lost = self._scheduler.shrink()
        self._begin_again(again)
        if lost is not None:
            row = self._rows[lost]
            error = Rejected(Code.PROMPT, f"the model cannot take it ({why})") if why else too_large(row.request)
            self._drop(lost, row.failed(error))
            self._num_lost += 1
            if why is not None and self._num_lost > MAX_LOST:
                raise RuntimeError(f"{self._num_lost} rows in a row failed alone: {why}")

    def _begin_again(self, numbers: abc.Iterable[int]) -> None:
        for number in numbers:
            self.goodput.wasted_tokens += self._rows[number].begin_again()
            self._forget(number)

    def _fail(self, error: BaseException) -> None:
        self._calls.fail(error)
        for number in self._rows:
            self._forget(number)
        self._rows.clear()
        self._pending, self._scheduler = None, Scheduler(self._scheduler.full_limits)
        self._runner, self._num_lost = StepRunner(Forward(self.model, self._kernels), self.intake), 0
        self._prefixes.clear()

    def _forget(self, number: int) -> None:
        self._runner.forget(number)
        if self._drafter is not None:
            self._drafter.forget(number)

    def _count(self, step: Step, pending: PendingStep, seconds: float) -> None:
        for row, num_tokens in pending.accepted.items():
            self._scheduler.accept(row, num_tokens)
            self.goodput.accepted_tokens += num_tokens
        self.goodput.drafted_tokens += sum(row.num_drafted for row in step.decode_rows)
        if self._drafter is not None:
            self._drafter.observe(step, seconds, pending.accepted)
        for decoded in step.decode_rows:
            self._rows[decoded.row].num_computed += 1 + decoded.num_drafted
        for chunk in step.chunks:
            self._rows[chunk.row].num_computed += chunk.end - chunk.start
        self.goodput.held_slots += self._scheduler.num_held
        self.goodput.all_slots += self._scheduler.layout.num_slots
        self.goodput.count_forward(seconds, decoded=step.num_decoded / step.num_tokens)
