"""The machine that a run will have: whether the model fits, how many rows at once, and how fast it is, as far as known.

Knows keys of the spec and the table of cards; nothing of rows but their lengths.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from relabel.engine.model.sizes import ModelSize
from relabel.engine.scheduling.step import Limits
from relabel.job.forecast.cards import Card, card_of
from relabel.job.forecast.cost import BANDWIDTH_EFFICIENCY, COMPUTE_EFFICIENCY, RooflineCost
from relabel.job.forecast.forecast import Speed, longest_of, mean_tokens
from relabel.job.forecast.memory import memory_limits, paged_limits, rows_at_once
from relabel.job.forecast.rate import Rate
from relabel.job.forecast.texts import SampledRow
from relabel.spec import Spec

USUAL = Limits(kv_tokens=2**40, num_slots=256, step_tokens=8192)
"""Of an engine of which only a rate is known, as full as it was then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What is known of the machine of a run."""

    fits: bool | None
    """Whether weights, keys and values fit; None where nobody named a card and no engine was loaded."""
    rows_at_once: int | None
    speed: Speed | None
    """None where nothing says how fast it is, or where the model does not fit."""
    start_seconds: float | None
    notes: Sequence[str] = field(default=())


def machine_of(
    spec: Spec, gpu: str | None, rate: Rate | None, measured: Speed | None, rows: Sequence[SampledRow]
) -> Machine:
    """A rate of an earlier run goes over what was measured here, and that over what a card should be able to do; only
    where it was measured on CPUs and a card is named, that card is meant. Raises SpecError for an unknown card."""
    start = measured and measured.start_seconds
    longest = longest_of(rows)
    if gpu is None:
        speed = measured if rate is None else Speed(cost=rate.cost, limits=_held(measured), basis="rate")
        notes = [] if speed else ["nothing says how fast it is: add --measure, --rate FILE.json, or --gpu CARD"]
        at_once = None if measured is None else rows_at_once(measured.limits, mean_tokens(rows))
        return Machine(
            fits=None if measured is None else True, rows_at_once=at_once, speed=speed, start_seconds=start, notes=notes
        )
    card = card_of(gpu)
    if spec.model.engine == "server":
        note = "servers have GPUs of their own, of which nothing is known here: --gpu says nothing of them"
        speed = measured if rate is None else Speed(cost=rate.cost, limits=_held(measured), basis="rate")
        return Machine(fits=None, rows_at_once=None, speed=speed, start_seconds=start, notes=[note])
    from relabel.engine.model.shape import size_of  # torch

    size = size_of(spec.model.path, spec.model.revision, spec.model.dtype)
    limits = _limits(spec, card, size, rows, longest)
    if limits is None:
        what = f"{size.weight_bytes / 1e9:.1f} GB of weights and a row of {longest} tokens"
        return Machine(
            fits=False, rows_at_once=None, speed=None, start_seconds=start, notes=[f"{gpu} does not hold {what}"]
        )
    notes = []
    if rate is not None:
        speed = Speed(cost=rate.cost, limits=limits, basis="rate")
    elif measured is not None and spec.resources.gpus_per_actor:
        speed = measured
    else:
        speed = Speed(cost=_roofline(spec, card, size), limits=limits, basis="roofline")
        notes.append(
            f"the hours are an estimate, not measured: {COMPUTE_EFFICIENCY:.0%} of the FLOP/s and "
            f"{BANDWIDTH_EFFICIENCY:.0%} of the bandwidth that {gpu} has; vision towers are left out"
        )
    at_once = rows_at_once(limits, mean_tokens(rows))
    return Machine(fits=True, rows_at_once=at_once, speed=speed, start_seconds=start, notes=notes)


def _held(measured: Speed | None) -> Limits:
    return measured.limits if measured else USUAL


def _num_gpus(spec: Spec) -> float:
    return spec.resources.gpus_per_actor or 1.0


def _limits(spec: Spec, card: Card, size: ModelSize, rows: Sequence[SampledRow], longest: int) -> Limits | None:
    memory, kv_memory = card.memory * _num_gpus(spec), spec.resources.kv_memory
    if spec.model.engine != "vllm":
        return memory_limits(size, memory, kv_memory=kv_memory, longest=longest)
    texts = [text for row in rows for text in row.texts]
    mean = sum(text.prompt + text.chosen for text in texts) / max(1, len(texts))
    return paged_limits(
        size,
        memory * spec.vllm.gpu_memory,
        kv_memory=kv_memory,
        longest=longest,
        mean=mean,
        most_rows=spec.vllm.max_rows,
    )


def _roofline(spec: Spec, card: Card, size: ModelSize) -> RooflineCost:
    return RooflineCost(
        flops_per_second=(card.single if size.item_bytes == 4 else card.half) * _num_gpus(spec),
        bytes_per_second=card.bandwidth * _num_gpus(spec),
        body=size.body,
        head=size.head,
        weight_bytes=size.weight_bytes,
        kv_bytes=size.kv_bytes,
    )
