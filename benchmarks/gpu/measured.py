"""A continuous engine timed on equal rows: rates, its share of the roofline, and what the host took for a step.

Knows engines and clocks; nothing of which workloads there are.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from benchmarks.gpu.counted import Counted, counting
from benchmarks.gpu.shapes import NEVER, TARGET_SECONDS
from relabel.bench.machine import gemm_rate, memory_rate, settle
from relabel.bench.work import Row, Size, roofline_seconds
from relabel.engine import ContinuousEngine, Goodput, Request, Result, Sampling
from relabel.engine.continuous.limits import measured_limits

if TYPE_CHECKING:
    from transformers import PreTrainedModel

NUM_WARM_UP = 64
EXPECTED_SHARE = 0.45
"""Of the roofline, to choose how many rows are measured."""
SCALING = 10
"""A full engine makes at most so many times the rows a second that it makes of `NUM_WARM_UP`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What a model's device can do, and what the model asks of it."""

    flops_per_second: float
    bytes_per_second: float | None
    """None on a CPU: then there is no roofline."""
    size: Size

    @classmethod
    def of(cls, model: PreTrainedModel) -> Rates:
        """Measured now."""
        return cls(flops_per_second=gemm_rate(model), bytes_per_second=memory_rate(model.device), size=Size.of(model))

    def seconds(self, rows: Sequence[Row], rows_at_once: int) -> float | None:
        """The least for such rows."""
        if self.bytes_per_second is None:
            return None
        return roofline_seconds(
            self.size,
            rows,
            flops_per_second=self.flops_per_second,
            bytes_per_second=self.bytes_per_second,
            rows_at_once=rows_at_once,
        )


class Measured:
    """An engine with room for its rows, and the count of its graphs."""

    def __init__(self, model: PreTrainedModel, sampling: Sampling, num_slots: int | None = None) -> None:
        limits = measured_limits(model)
        if num_slots is not None:  # few rows shall wait for slots in a dry run, too
            limits = limits.scaled(min(num_slots, limits.num_slots))
        self.kernels, self.counted = counting(model.device)
        self.limits = limits
        self.engine = ContinuousEngine(model, None, sampling, limits=limits, kernels=self.kernels)

    def run(self, requests: Sequence[Request]) -> dict[str, object]:
        """Rates and steps of one call."""
        device, before = self.engine.device, replace(self.engine.goodput)
        counted = replace(self.counted) if self.counted else None
        settle(device)
        started, cpu = time.perf_counter(), time.process_time()
        results = self.engine.generate(requests)
        settle(device)
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
        raise_errors(results)
        done = self.engine.goodput - before
        return {
            "rows": len(requests),
            "seconds": round(seconds, 3),
            "rows_per_second": len(requests) / seconds,
            "output_tokens_per_second": done.output_tokens / seconds,
            "total_tokens_per_second": (sum(len(one.prompt_ids) for one in requests) + done.output_tokens) / seconds,
            "steps": done.num_forwards,
            **_steps(done, seconds, cpu, counted, self.counted),
        }


def _steps(
    done: Goodput, seconds: float, cpu: float, before: Counted | None, after: Counted | None
) -> dict[str, object]:
    """What a step took, and how many were replayed."""
    num_steps = max(1, done.num_forwards)
    figures: dict[str, object] = {
        "wall_ms_per_step": 1000 * seconds / num_steps,
        "host_launch_ms_per_step": 1000 * (done.prefill_seconds + done.decode_seconds) / num_steps,
        "host_cpu_ms_per_step": 1000 * cpu / num_steps,
        "useful_positions": round(done.useful, 4),
        "slot_occupancy": round(done.occupancy, 4),
        "num_out_of_memory": done.num_out_of_memory,
    }
    if before is not None and after is not None:
        figures |= {
            "replayed_share_of_steps": (after.num_replays - before.num_replays) / num_steps,
            "captures": after.num_captures - before.num_captures,
            "capture_seconds": round(after.seconds - before.seconds, 3),
            "not_captured": after.refused,
        }
    return figures


def num_rows(rates: Rates, row: Row, warm: Callable[[], float], rows_at_once: int, warm_share: float) -> int:
    """As many as should take `TARGET_SECONDS`: by the roofline, and fewer where a warm engine is far from it.

    `warm()` is the seconds that `NUM_WARM_UP` rows take, which make `warm_share` of a row's new tokens.
    """
    least = rates.seconds([row] * rows_at_once, rows_at_once)
    seconds = warm()
    by_warm_up = NUM_WARM_UP * SCALING * TARGET_SECONDS * warm_share / seconds
    by_roofline = by_warm_up if least is None else TARGET_SECONDS * EXPECTED_SHARE * rows_at_once / least
    return max(NUM_WARM_UP, int(min(by_warm_up, max(by_roofline, rows_at_once))))


def requests_of(prompts: Sequence[list[int]]) -> list[Request]:
    """One row a prompt."""
    return [Request(id=row, prompt_ids=prompt) for row, prompt in enumerate(prompts)]


def raise_errors(results: Sequence[Result]) -> None:
    """A row that failed makes the figures worthless."""
    if errors := [result.error for result in results if result.error is not None]:
        raise RuntimeError(f"{len(errors)} of {len(results)} rows failed: {errors[0]}")


def greedy(new_tokens: int, **others: float) -> Sampling:
    """As many tokens as a row may have, whatever the model says."""
    return Sampling(max_new_tokens=new_tokens, stop_token_ids=NEVER, **others)
