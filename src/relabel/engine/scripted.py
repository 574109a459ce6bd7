"""An engine without a model: a function says each row's text. To try a job, a prompt or a parser before there is a GPU.

Knows the contract of engines alone; no torch, no tokenizer.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from relabel.engine.api.goodput import Goodput
from relabel.engine.api.request import Request, Result, Sampling, cut_at_stop
from relabel.engine.api.verdict import Verdict

Script = Callable[[Request], str | Result]
"""The text of a row, or all that became of it: an error, log-probabilities, a text that was cut off."""


class ScriptedEngine:
    """Answers each request with `script(request)`. Its tokens are words; it is asked from several threads."""

    def __init__(self, script: Script, sampling: Sampling | None = None) -> None:
        self.sampling, self.goodput = sampling or Sampling(), Goodput()
        self.verdict = Verdict(batching="scripted", attention="none", difference=None)
        self.end_token: int | None = None
        self._script, self._lock = script, threading.Lock()

    def prepare(self, sampling: Sampling) -> None:
        """A script can answer under any settings."""

    def generate(self, requests: Sequence[Request]) -> list[Result]:
        """One result per request, in order. What the script raises, this raises."""
        start = time.perf_counter()
        results = [self._result(request) for request in requests]
        with self._lock:
            self.goodput.num_batches += 1
            self.goodput.useful_tokens += sum(len(request.prompt_ids) for request in requests)
            self.goodput.output_tokens += sum(result.num_tokens for result in results)
            self.goodput.seconds += time.perf_counter() - start
        return results

    def _result(self, request: Request) -> Result:
        answer = self._script(request)
        if isinstance(answer, Result):
            return replace(answer, id=request.id)
        sampling = request.sampling or self.sampling
        text = cut_at_stop(answer, sampling.stop_strings)
        words = text.split(" ")
        is_cut_off = len(words) > sampling.max_new_tokens
        words = words[: sampling.max_new_tokens]
        return Result(
            id=request.id,
            text=" ".join(words),
            token_ids=None,
            num_tokens=len(words),
            finish_reason="length" if is_cut_off else "stop",
            logprobs=[0.0] * len(words) if sampling.logprobs else None,
        )


if TYPE_CHECKING:
    from relabel.engine.api.engine import Engine

    _IS_AN_ENGINE: type[Engine] = ScriptedEngine
