"""An engine that is watched while it generates: which texts each call asked for, and when each step was made.

Knows requests, results and the count of steps; nothing of blocks or of what the times are for.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from relabel.engine import Engine, Goodput, Request, Result, Sampling
from relabel.engine.api.verdict import Verdict

Clock = Callable[[], float]
"""Tells seconds, from whenever."""
LOOK_EVERY_SECONDS = 0.001
"""Steps take at least some milliseconds; a look takes a microsecond."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """One call of the engine."""

    requests: Sequence[Request]
    samplings: Sequence[Sampling]
    """The settings of each request."""
    results: Sequence[Result]
    seconds: float
    """By the clock, until the last text was there."""
    steps: Sequence[tuple[int, float]]
    """How many steps of this call were made, and at which second of the clock, at every look at which there were
    more."""


class WatchedEngine:
    """Hands calls on to an engine, one at a time, and notes them."""

    def __init__(self, engine: Engine, clock: Clock = time.perf_counter) -> None:
        self._engine, self._clock = engine, clock
        self.calls = list[Watched]()

    @property
    def sampling(self) -> Sampling:
        return self._engine.sampling

    @property
    def goodput(self) -> Goodput:
        return self._engine.goodput

    @property
    def verdict(self) -> Verdict:
        return self._engine.verdict

    @property
    def end_token(self) -> int | None:
        return self._engine.end_token

    def prepare(self, sampling: Sampling) -> None:
        self._engine.prepare(sampling)

    def generate(self, requests: Sequence[Request]) -> list[Result]:
        started = self._clock()
        with _looking(self._engine.goodput, self._clock) as steps:
            results = self._engine.generate(requests)
        self.calls.append(
            Watched(
                requests=requests,
                samplings=[request.sampling or self.sampling for request in requests],
                results=results,
                seconds=self._clock() - started,
                steps=steps,
            )
        )
        return results


@contextmanager
def _looking(goodput: Goodput, clock: Clock) -> Iterator[list[tuple[int, float]]]:
    """A list that grows while the block lasts."""
    before, found, is_over = goodput.num_forwards, list[tuple[int, float]](), threading.Event()

    def look() -> None:
        made = 0
        while not is_over.wait(LOOK_EVERY_SECONDS):
            if (now := goodput.num_forwards - before) != made:
                made = now
                found.append((made, clock()))

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield found
    finally:
        is_over.set()
        watcher.join()
