"""Contenders timed on one workload, round by round. Knows how to run them and to look at a clock; not what follows."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch

from relabel.bench.contenders import Contender
from relabel.bench.machine import settle
from relabel.bench.speed import Speed
from relabel.bench.workload import Prompt, Workload
from relabel.engine import Goodput

log = logging.getLogger("relabel")

NUM_WARM_UP = 8
"""Rows of each contender before anything is timed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of all rounds."""

    rounds: list[dict[str, Speed]] = field(default_factory=list)
    outputs: dict[str, list[list[int]]] = field(default_factory=dict)
    """New tokens of every row, of the last round."""
    reasons: dict[str, str] = field(default_factory=dict)
    """Why a contender could not run."""
    goodput: dict[str, Goodput] = field(default_factory=dict)
    """Of the engines, warming up left out."""


def run_rounds(contenders: Sequence[Contender[Prompt]], workload: Workload[Prompt], num_rounds: int) -> Outcome:
    """Everyone warms up, then everyone runs in every round. Only `generate_batch` may fail."""
    outcome = Outcome()
    for contender in contenders:
        _time(contender, workload.prompts[:NUM_WARM_UP], outcome)
    before = {contender.name: replace(contender.engine.goodput) for contender in contenders if contender.engine}
    for number in range(num_rounds):
        outcome.rounds.append({})
        for contender in contenders:
            if contender.name in outcome.reasons:
                continue
            speed = _time(contender, workload.prompts[: contender.num_rows], outcome)
            if speed is not None:
                outcome.rounds[number][contender.name] = speed
                log.info("%s %s: %.2f rows a second", workload.name, contender.name, speed.rate("wall"))
    for contender in contenders:
        if contender.engine:
            outcome.goodput[contender.name] = contender.engine.goodput - before[contender.name]
    return outcome


def _time(contender: Contender[Prompt], prompts: list[Prompt], outcome: Outcome) -> Speed | None:
    device = contender.model.device
    if device.type == "cuda":
        torch.cuda.empty_cache()  # what one holds back another takes for full
    settle(device)
    wall, cpu = time.perf_counter(), _processor_seconds(contender)
    try:
        outcome.outputs[contender.name] = contender.generate(prompts)
    except Exception as error:  # what a contender of other makers may raise is not known
        if not contender.may_fail:
            raise
        outcome.reasons[contender.name] = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        log.warning("%s cannot run: %s", contender.name, outcome.reasons[contender.name])
        return None
    settle(device)
    return Speed(rows=len(prompts), wall=time.perf_counter() - wall, cpu=_processor_seconds(contender) - cpu)


def _processor_seconds(contender: Contender[Prompt]) -> float:
    return time.process_time() + (contender.children_seconds() if contender.children_seconds else 0.0)
