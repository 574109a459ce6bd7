"""What vLLM gives for a row, as a result of ours. Knows its outputs by their fields; imports nothing of vLLM."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from relabel.engine.api.goodput import Goodput
from relabel.engine.api.request import Request, Result, Sampling
from relabel.engine.vllm.sampling import probabilities_of
from relabel.rejected import Code, Rejected


def written(request: Request, own: Sampling, output: Any) -> tuple[Result, list[int]]:
    """The result of a text that was written, and its tokens with the stop token."""
    text = output.outputs[0]
    tokens, reason = [int(token) for token in text.token_ids], text.finish_reason
    if reason not in ("stop", "length"):
        return Result(id=request.id, error=Rejected(Code.PROMPT, f"vLLM ended it with {str(reason)[:40]}")), tokens
    logprobs = probabilities_of(tokens, text.logprobs) if own.logprobs and text.logprobs is not None else None
    has_stop_token = reason == "stop" and not isinstance(text.stop_reason, str)
    kept = tokens[:-1] if has_stop_token else tokens
    result = Result(id=request.id, token_ids=kept, num_tokens=len(kept), finish_reason=reason, logprobs=logprobs)
    return finite(result), tokens


def cut(result: Result, length: int | None) -> Result:
    """The result up to the token that completes a stop string; as it is, where none does."""
    if length is None or result.error is not None or result.token_ids is None or length > len(result.token_ids):
        return result
    logprobs = result.logprobs and result.logprobs[:length]
    kept = result.token_ids[:length]
    return replace(result, token_ids=kept, num_tokens=length, finish_reason="stop", logprobs=logprobs)


def scored(request: Request, given: list[int], output: Any) -> Result:
    """The result of a text that was given."""
    behind = output.prompt_logprobs[len(request.prompt_ids) :]
    logprobs = probabilities_of(given, behind)
    result = Result(id=request.id, token_ids=given, num_tokens=len(given), finish_reason="length", logprobs=logprobs)
    return finite(result)


def finite(result: Result) -> Result:
    """The result, or a reject where the model gave no number."""
    if not any(math.isnan(logprob) for logprob in result.logprobs or ()):
        return result
    return Result(id=result.id, error=Rejected(Code.NONFINITE, "its logits are not finite numbers"))


def count(goodput: Goodput, request: Request, output: Any, num_tokens: int) -> None:
    """Add a row that was finished; the first of its tokens came with its prompt."""
    shared = output.num_cached_tokens or 0
    goodput.useful_tokens += len(request.prompt_ids) - shared + max(0, num_tokens - 1)
    goodput.shared_tokens += shared
