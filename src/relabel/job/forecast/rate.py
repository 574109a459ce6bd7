"""The speed that another run had, out of what it printed: `relabel bench`'s JSON, or the JSON line of `relabel run`.

Knows the names of a few figures; nothing of specs or engines.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from relabel.errors import SpecError
from relabel.job.forecast.cost import LinearCost


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """What an earlier run says of the next one."""

    cost: LinearCost
    """With the engine as full as it was then."""
    output_tokens: float | None = None
    """Generated tokens of a row, where that run had rows of a data set; None of a benchmark."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Goodput:
    useful_tokens: int
    output_tokens: int
    prefill_seconds: float
    decode_seconds: float
    seconds: float

    def cost(self) -> LinearCost | None:
        """Prompts cost what prefills took, texts what decoding took, and the rest of the time is spread over both."""
        prompt = self.useful_tokens - self.output_tokens
        known = self.prefill_seconds + self.decode_seconds
        if self.seconds <= 0 or prompt <= 0 or self.output_tokens <= 0:
            return None
        if known <= 0:  # servers do not say
            each = self.seconds / (prompt + self.output_tokens)
            return LinearCost(prompt=each, decoded=each)
        spread = self.seconds / known
        return LinearCost(
            prompt=self.prefill_seconds * spread / prompt, decoded=self.decode_seconds * spread / self.output_tokens
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _DoneNow:
    rows: int
    output_tokens: int
    goodput: _Goodput


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    done_now: _DoneNow


@dataclass(frozen=True, slots=True, kw_only=True)
class _Comparison:
    goodput: dict[str, _Goodput]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bench:
    workloads: dict[str, _Comparison]


_RUN, _BENCH = TypeAdapter(_Run), TypeAdapter(_Bench)
_WAYS = ("vllm", "continuous", "static")


def read_rate(path: Path, engine: str) -> Rate:
    """The rate in a file, of that engine where it was measured beside others. Raises SpecError for any other file.

    Of a file of several lines the last counts, as what a run writes to stdout ends with its figures.
    """
    try:
        text = path.read_text(encoding="utf-8").strip()
        found = _object(text) or _object(text.splitlines()[-1] if text else "")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"--rate {path} cannot be read ({type(error).__name__}): name a file that is there") from error
    rate = _of_run(found) or _of_bench(found, engine) if found is not None else None
    if rate is None:
        raise SpecError(
            f"--rate {path} holds no rate: it must be what relabel bench --out wrote, or the last line that relabel "
            "run printed, of a run that generated something"
        )
    return rate


def _object(text: str) -> Mapping[str, object] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _of_run(found: Mapping[str, object]) -> Rate | None:
    try:
        done = _RUN.validate_python(found).done_now
    except ValidationError:
        return None
    cost = done.goodput.cost()
    return None if cost is None or not done.rows else Rate(cost=cost, output_tokens=done.output_tokens / done.rows)


def _of_bench(found: Mapping[str, object], engine: str) -> Rate | None:
    """Of several workloads the mean counts."""
    try:
        comparisons = _BENCH.validate_python(found).workloads.values()
    except ValidationError:
        return None
    ways = ("vllm",) if engine == "vllm" else _WAYS[1:]
    for way in ways:
        costs = [cost for one in comparisons if way in one.goodput and (cost := one.goodput[way].cost()) is not None]
        if costs:
            prompt, decoded = (
                sum(getattr(cost, part) for cost in costs) / len(costs) for part in ("prompt", "decoded")
            )
            return Rate(cost=LinearCost(prompt=prompt, decoded=decoded))
    return None
