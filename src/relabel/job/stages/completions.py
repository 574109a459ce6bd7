"""The rows of a unit put to the engine: every label, every sample, and again what is no label.

Decides what is generated and how often; knows nothing of blocks, columns or Ray.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import NamedTuple

import numpy as np

from relabel.data.labels.reasoning import Start
from relabel.engine import Engine, Request, Result, Sampling
from relabel.spec import Label

MAX_REQUESTS = 4096
"""Texts that are scored in one call: a thousand choices of a thousand rows are a million."""


class Key(NamedTuple):
    """Which text of a unit."""

    label: str
    """Name of the label; empty where a row has one."""
    row: int
    """Index of the row in the unit."""
    sample: int
    """Index of the sample of the row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionRequest:
    """One text to be generated."""

    key: Key
    """Which text of the unit it is."""
    name: str
    """Names the row and the label in whatever unit or run; with the sample and the draw it seeds the text."""
    request: Request
    """Prompt and settings of the text; the id is not yet that of a draw."""
    label: Label
    """Says how often a text that holds no label is generated again."""
    first_draw: int = 0
    """Above 0 where that many attempts were made before: what they gave is not drawn again."""
    start: Start = Start.BEFORE
    """Where in the format of its reasoning the prompt ends."""
    holds_label: Callable[[Result], bool]
    """Whether the text of a result needs no other attempt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """What the last attempt at a text gave."""

    text: str | None = None
    """The text up to its stop string; None where there is an error."""
    finish_reason: str | None = None
    """Why the text ended, `stop` or `length`; None where there is an error."""
    error: str | None = None
    """Why there is no text, as `code: detail`."""
    logprob: float | None = None
    """Mean log-probability of the tokens; None where it was not asked for."""
    attempts: int
    """Number of texts that were generated for this one, itself included."""
    num_tokens: int
    """Number of tokens of all attempts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """One attempt at a text, and what the attempts before it have cost."""

    wanted: CompletionRequest
    """The text that is to be generated."""
    sampling: Sampling
    """The settings of this attempt."""
    number: int
    """Which draw of the text; the same once more where the one before was cut off."""
    attempts: int = 0
    """Number of attempts before this one."""
    num_tokens: int = 0
    """Number of tokens of the attempts before this one."""
    cut_off: Result | None = None
    """What a smaller cap gave, once the larger cap is tried."""


def complete(engine: Engine, requests: Sequence[CompletionRequest]) -> list[Completion]:
    """The texts of all requests, in order.

    A text that is no label is generated again, up to `label.attempts` times, with another draw; one that was cut off
    once more with `label.max_new_tokens_on_retry`.
    """
    done: dict[int, Completion] = {}
    draws = {index: _first_draw(wanted, engine.sampling) for index, wanted in enumerate(requests)}
    while draws:
        results = _generate(engine, [_request(draw) for draw in draws.values()])
        following: dict[int, Draw] = {}
        for (index, draw), result in zip(draws.items(), results, strict=True):
            if (after := next_draw(draw, result)) is None:
                done[index] = _completion(draw, result)
            else:
                following[index] = after
        draws = following
    return [done[index] for index in range(len(requests))]


def next_draw(draw: Draw, result: Result) -> Draw | None:
    """The attempt that follows this one and its result; None where the text stands."""
    if result.error is not None:
        return None
    label, sampling = draw.wanted.label, draw.sampling
    spent = replace(draw, attempts=draw.attempts + 1, num_tokens=draw.num_tokens + result.num_tokens)
    longer = label.max_new_tokens_on_retry
    is_longer = longer is not None and longer > sampling.max_new_tokens
    if is_longer and result.finish_reason == "length" and draw.cut_off is None:
        # the same draw: its text goes on where it was cut off
        return replace(spent, sampling=replace(sampling, max_new_tokens=longer), cut_off=result)
    num_draws = draw.number - draw.wanted.first_draw + 1
    if num_draws >= label.attempts or draw.wanted.holds_label(result):
        return None
    warmed = _warmed(draw.wanted, sampling, num_draws)
    if warmed.temperature == 0 and warmed == sampling:
        return None  # a row of a batch file may be greedy by itself: its text would be the same
    return replace(spent, sampling=warmed, number=draw.number + 1)


def probabilities(
    engine: Engine, requests: Sequence[CompletionRequest], choices: Sequence[Sequence[int]]
) -> list[list[float] | None]:
    """For each request the probability of each choice, given as token ids, among all; None for an error of the engine.

    The model reads each choice behind the prompt, and the product of its tokens' probabilities counts.
    """
    shares = []
    num_at_once = max(1, MAX_REQUESTS // len(choices))
    for first in range(0, len(requests), num_at_once):
        scored = [
            replace(
                one.request, sampling=replace(one.request.sampling or engine.sampling, logprobs=True), forced_ids=ids
            )
            for one in requests[first : first + num_at_once]
            for ids in choices
        ]
        results = _generate(engine, scored)
        shares += [_shares(results[start : start + len(choices)]) for start in range(0, len(results), len(choices))]
    return shares


def row_id(name: str, sample: int = 0, draw: int = 0) -> int:
    """A number that names one draw of a text whatever unit, batch or run it is in."""
    full = name if sample == draw == 0 else f"{name}\0{sample}\0{draw}"
    return int.from_bytes(blake2b(full.encode(), digest_size=8).digest(), "big")


def _shares(results: Sequence[Result]) -> list[float] | None:
    if any(result.error is not None for result in results):
        return None
    logprobs = [sum(result.logprobs or ()) for result in results]
    weights = [math.exp(logprob - max(logprobs)) for logprob in logprobs]
    return [weight / sum(weights) for weight in weights]


def _first_draw(wanted: CompletionRequest, default: Sampling) -> Draw:
    sampling = _warmed(wanted, wanted.request.sampling or default, 0)
    return Draw(wanted=wanted, sampling=sampling, number=wanted.first_draw)


def _request(draw: Draw) -> Request:
    id = row_id(draw.wanted.name, draw.wanted.key.sample, draw.number)
    return replace(draw.wanted.request, id=id, sampling=draw.sampling)


def _warmed(wanted: CompletionRequest, sampling: Sampling, num_draws: int) -> Sampling:
    """The settings of the draw that follows so many of this run. The first of a retry repeats others already."""
    ladder, step = wanted.label.retry_temperatures, num_draws + (wanted.first_draw > 0)
    return replace(sampling, temperature=ladder[min(step, len(ladder)) - 1]) if ladder and step else sampling


def _completion(draw: Draw, last: Result) -> Completion:
    # the model may have no room for the larger cap
    result = last if last.error is None else draw.cut_off or last
    logprobs = result.logprobs
    return Completion(
        text=(result.text or "") if result.error is None else None,
        finish_reason=result.finish_reason,
        error=None if result.error is None else str(result.error),
        logprob=sum(logprobs) / len(logprobs) if logprobs else None,
        attempts=draw.attempts + 1,
        num_tokens=draw.num_tokens + last.num_tokens,
    )


def _generate(engine: Engine, requests: Sequence[Request]) -> list[Result]:
    """One result for each request; greedy ones with the same prompt are generated once."""
    first_of: dict[Hashable, int] = {}
    source = [first_of.setdefault(_text_key(request), index) for index, request in enumerate(requests)]
    unique = list(dict.fromkeys(source))
    results = dict(zip(unique, engine.generate([requests[index] for index in unique]), strict=True))
    return [results[index] for index in source]


def _text_key(request: Request) -> Hashable:
    """Requests with the same key have the same text."""
    sampling, given = request.sampling, tuple(request.forced_ids)
    if not given and (sampling is None or sampling.temperature > 0):
        return request.id
    return tuple(request.prompt_ids), _contents(request.tensors), given or sampling


def _contents(tensors: Mapping[str, np.ndarray]) -> Hashable:
    return tuple(
        (name, str(tensor.dtype), tensor.shape, blake2b(tensor.tobytes()).digest())
        for name, tensor in sorted(tensors.items())
    )
