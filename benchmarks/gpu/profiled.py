"""Where the time of steps goes: how long they take, the kernels that take it, and the gaps between these.

The engine runs in a thread of its own; this one looks at its count of steps. Knows engines and torch.profiler.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from benchmarks.gpu.measured import raise_errors
from relabel.engine import ContinuousEngine, Request

NUM_KERNELS, NUM_STEPS = 20, 10
GAP_MICROSECONDS = 2.0
"""A shorter one is the device's own."""
Span = tuple[str, float, float]
"""The name of a kernel, and when it began and ended, in microseconds."""


def profiled(engine: ContinuousEngine, requests: Sequence[Request], *, after: int, timed: int) -> dict[str, object]:
    """`timed` steps by the clock after the first `after`, then `NUM_STEPS` under the profiler."""
    if engine.device.type != "cuda":
        return _on_a_cpu(engine, requests)
    with profile(activities=[ProfilerActivity.CUDA]):  # the first one takes seconds to be ready
        torch.ones(1, device=engine.device).add_(1)
        torch.cuda.synchronize()
    failures: list[BaseException] = []

    def run() -> None:
        try:
            raise_errors(engine.generate(requests))
        except BaseException as error:  # noqa: BLE001  it is raised by the thread that waits
            failures.append(error)

    thread = threading.Thread(target=run)
    first = engine.goodput.num_forwards
    thread.start()
    _until(engine, thread, first + after)
    started, steps = time.perf_counter(), engine.goodput.num_forwards
    _until(engine, thread, steps + timed)
    seconds, counted = time.perf_counter() - started, engine.goodput.num_forwards - steps
    prof = profile(activities=[ProfilerActivity.CUDA])
    prof.start()
    before = engine.goodput.num_forwards
    _until(engine, thread, before + NUM_STEPS)
    torch.cuda.synchronize()
    num_steps = engine.goodput.num_forwards - before  # one more or less is under way at either end
    prof.stop()
    was_running = thread.is_alive()
    thread.join()
    if failures:
        raise failures[0]
    spans = [
        (event.name, event.time_range.start, event.time_range.end)
        for event in prof.events()
        if event.device_type == DeviceType.CUDA
    ]
    return {
        "ms_per_step": 1000 * seconds / counted if counted else None,
        "was_still_running": was_running,
        "steps_profiled": num_steps,
        **summary(spans, max(1, num_steps)),
    }


def summary(spans: Sequence[Span], num_steps: int) -> dict[str, object]:
    """The kernels that took most, the share of time that none ran, and the largest gaps."""
    totals: dict[str, list[float]] = defaultdict(lambda: [0, 0.0])
    for name, start, end in spans:
        totals[name][0] += 1
        totals[name][1] += end - start
    whole = sum(total for _, total in totals.values())
    table = [
        {
            "kernel": name[:160],
            "calls_per_step": round(count / num_steps, 2),
            "us_per_step": round(total / num_steps, 1),
            "share": round(total / whole, 4) if whole else None,
        }
        for name, (count, total) in sorted(totals.items(), key=lambda item: -item[1][1])[:NUM_KERNELS]
    ]
    gaps = sorted(_gaps(spans), reverse=True)
    last, first = max((end for *_, end in spans), default=0.0), min((start for _, start, _ in spans), default=0.0)
    return {
        "kernels_per_step": round(len(spans) / num_steps, 1),
        "kernel_us_per_step": round(whole / num_steps, 1),
        "idle_share": round(sum(gaps) / (last - first), 4) if last > first else None,
        "gaps_per_step": round(len(gaps) / num_steps, 1),
        "largest_gaps_us": [round(gap, 1) for gap in gaps[:10]],
        "kernels": table,
    }


def _gaps(spans: Sequence[Span]) -> Iterable[float]:
    """Stretches in which nothing ran."""
    reached = None
    for _, start, end in sorted(spans, key=lambda span: span[1]):
        if reached is not None and start - reached > GAP_MICROSECONDS:
            yield start - reached
        reached = end if reached is None else max(reached, end)


def _until(engine: ContinuousEngine, thread: threading.Thread, num_forwards: int) -> None:
    while thread.is_alive() and engine.goodput.num_forwards < num_forwards:
        time.sleep(0.0005)


def _on_a_cpu(engine: ContinuousEngine, requests: Sequence[Request]) -> dict[str, object]:
    """Operators in place of kernels, of the whole call."""
    before, started = engine.goodput.num_forwards, time.perf_counter()
    with profile(activities=[ProfilerActivity.CPU]) as prof:
        raise_errors(engine.generate(requests))
    seconds, num_steps = time.perf_counter() - started, engine.goodput.num_forwards - before
    spans = [(event.name, event.time_range.start, event.time_range.end) for event in prof.events()]
    return {
        "ms_per_step": 1000 * seconds / num_steps,
        "was_still_running": True,
        "steps_profiled": num_steps,
        **summary(spans, num_steps),
    }
