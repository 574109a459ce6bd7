"""What vLLM says of each of its steps, counted as the figures of an engine: the watchdog's sign of life among them."""

# pyright: reportMissingImports=false
from __future__ import annotations

import time
from typing import Any

from vllm.v1.metrics.loggers import StatLoggerBase

from relabel.engine.api.goodput import Goodput

MOST_SECONDS = 1.0
"""Of work between two steps: more is waiting for rows."""


class Steps(StatLoggerBase):
    """Counts into `goodput`, in the thread of the loop."""

    def __init__(self, vllm_config: Any, goodput: Goodput) -> None:
        self._room: int = vllm_config.scheduler_config.max_num_seqs
        self._goodput, self._before = goodput, time.perf_counter()

    def record(self, scheduler_stats: Any, iteration_stats: Any, *_: Any, **__: Any) -> None:
        """One step; its figures may be None."""
        now = time.perf_counter()
        seconds, self._before = min(now - self._before, MOST_SECONDS), now
        if iteration_stats is None:
            return
        new, prompt = iteration_stats.num_generation_tokens, iteration_stats.num_prompt_tokens
        self._goodput.count_forward(seconds, decoded=new / max(1, new + prompt))
        self._goodput.seconds += seconds
        self._goodput.all_slots += self._room
        if scheduler_stats is not None:
            self._goodput.held_slots += scheduler_stats.num_running_reqs

    def log_engine_initialized(self) -> None:
        """vLLM asks for it."""
