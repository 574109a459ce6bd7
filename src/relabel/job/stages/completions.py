"""The rows of a unit put to the engine: every label, every sample, and again what is no label.

Decides what is generated and how often; knows nothing of blocks, columns or Ray.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

from relabel.engine import Request, Sampling
from relabel.spec import Label

MAX_REQUESTS = 4096
"""Texts that are scored in one call: a thousand choices of a thousand rows are a million."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One text to be generated."""

    row: int
    """Which row of the unit."""
    sample: int
    key: str
    """Names the row and the label in whatever unit or run; with the sample and the attempt it seeds the text."""
    request: Request
    """Its prompt and settings; the id is not yet that of a draw."""
    label: Label
    first_draw: int = 0
    """Above 0 where that many attempts were made before: what they gave is not drawn again."""
    holds_label: Callable[[list[int]], bool]
    """Whether a text, as token ids, needs no other attempt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated:
    """What the last attempt at a text gave."""

    token_ids: list[int] | None = None
    finish_reason: str | None = None
    error: str | None = None
    logprob: float | None = None
    """The mean of its tokens."""
    attempts: int
    num_tokens: int
    """Of all attempts."""


@dataclass(slots=True)
class _Turn:
    """Where an ask stands."""

    ask: Ask
    sampling: Sampling
    """At present."""
    draw: int = 0
    attempts: int = 0
    num_tokens: int = 0
    cut_off: Any = None
    """What there was before the larger cap, once that is tried."""


def ask(engine: Any, asks: Sequence[Ask]) -> list[Generated]:
    """The texts of all asks, in order.

    A text that is no label is generated again, up to `label.attempts` times, with another draw; one that was cut off
    once more with `label.max_new_tokens_on_retry`.
    """
    done: dict[int, Generated] = {}
    turns = {at: _first_turn(ask, ask.request.sampling or engine.sampling) for at, ask in enumerate(asks)}
    while turns:
        results = _generate(engine, [_request(turn) for turn in turns.values()])
        for (at, turn), result in zip(list(turns.items()), results, strict=True):
            turn.attempts += 1
            turn.num_tokens += len(result.token_ids)
            if result.error is not None or not _goes_on(turn, result):
                # the model may have no room for the larger cap
                done[at] = _generated(turn, result if result.error is None else turn.cut_off or result)
                del turns[at]
    return [done[at] for at in range(len(asks))]


def probabilities(engine: Any, asks: Sequence[Ask], choices: Sequence[Sequence[int]]) -> list[list[float] | None]:
    """For each ask the probability of each choice, given as token ids, among all; None where the engine has no answer.

    The model reads each choice behind the prompt, and the product of its tokens' probabilities counts.
    """
    shares = []
    num_asks = max(1, MAX_REQUESTS // len(choices))
    for first in range(0, len(asks), num_asks):
        requests = [
            replace(
                one.request, sampling=replace(one.request.sampling or engine.sampling, logprobs=True), forced_ids=ids
            )
            for one in asks[first : first + num_asks]
            for ids in choices
        ]
        results = _generate(engine, requests)
        shares += [_shares(results[at : at + len(choices)]) for at in range(0, len(results), len(choices))]
    return shares


def row_id(key: str, sample: int = 0, draw: int = 0) -> int:
    """A number that names one draw of a text whatever unit, batch or run it is in."""
    name = key if sample == draw == 0 else f"{key}\0{sample}\0{draw}"
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big")


def _shares(results: Sequence[Any]) -> list[float] | None:
    if any(result.error is not None for result in results):
        return None
    logprobs = [sum(result.logprobs) for result in results]
    weights = [math.exp(logprob - max(logprobs)) for logprob in logprobs]
    return [weight / sum(weights) for weight in weights]


def _request(turn: _Turn) -> Request:
    ask = turn.ask
    return replace(ask.request, id=row_id(ask.key, ask.sample, turn.draw), sampling=turn.sampling)


def _goes_on(turn: _Turn, result: Any) -> bool:
    """Whether the text is generated again, and how."""
    label = turn.ask.label
    longer = label.max_new_tokens_on_retry
    is_longer = longer is not None and longer > turn.sampling.max_new_tokens
    if is_longer and result.finish_reason == "length" and turn.cut_off is None:
        turn.cut_off, turn.sampling = result, replace(turn.sampling, max_new_tokens=longer)
        return True  # the same draw: its text goes on where it was cut off
    num_draws = turn.draw - turn.ask.first_draw + 1
    if num_draws >= label.attempts or turn.ask.holds_label(result.token_ids):
        return False
    turn.draw += 1
    before, turn.sampling = turn.sampling, _warmed(turn.ask, turn.sampling, num_draws)
    return turn.sampling.temperature > 0 or turn.sampling != before  # a row of a batch file may be greedy by itself


def _first_turn(ask: Ask, sampling: Sampling) -> _Turn:
    return _Turn(ask, _warmed(ask, sampling, 0), draw=ask.first_draw)


def _warmed(ask: Ask, sampling: Sampling, num_draws: int) -> Sampling:
    """The settings of the draw that follows so many of this run. The first of a retry repeats others already."""
    ladder, step = ask.label.retry_temperatures, num_draws + (ask.first_draw > 0)
    return replace(sampling, temperature=ladder[min(step, len(ladder)) - 1]) if ladder and step else sampling


def _generated(turn: _Turn, result: Any) -> Generated:
    logprobs = result.logprobs
    return Generated(
        token_ids=result.token_ids if result.error is None else None,
        finish_reason=result.finish_reason,
        error=None if result.error is None else str(result.error),
        logprob=sum(logprobs) / len(logprobs) if logprobs else None,
        attempts=turn.attempts,
        num_tokens=turn.num_tokens,
    )


def _generate(engine: Any, requests: Sequence[Request]) -> list[Any]:
    """One result for each request; greedy ones with the same prompt are generated once."""
    first_of: dict[Any, int] = {}
    source = [first_of.setdefault(key, at) for at, key in enumerate(map(_same, requests))]
    unique = list(dict.fromkeys(source))
    results = dict(zip(unique, engine.generate([requests[at] for at in unique]), strict=True))
    return [results[at] for at in source]


def _same(request: Request) -> Any:
    """Requests with the same of these have the same text."""
    sampling, given = request.sampling, tuple(request.forced_ids)
    if not given and (sampling is None or sampling.temperature > 0):
        return request.id
    return tuple(request.prompt_ids), tuple(_contents(request.tensors.items())), given or sampling


def _contents(tensors: Iterable[tuple[str, Any]]) -> Iterable[tuple[str, str, tuple[int, ...], bytes]]:
    for name, tensor in sorted(tensors):
        yield name, str(tensor.dtype), tensor.shape, blake2b(tensor.tobytes()).digest()
