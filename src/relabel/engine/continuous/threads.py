"""The threads of a CPU that compute a step: as many as this process may have, or fewer while these are faster.

Knows torch's number of threads; nothing of steps but their tokens.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager

import torch

from relabel.engine.continuous.thread_choice import ThreadChoice


@contextmanager
def one_thread() -> Generator[None]:
    """For what is small and soon over: beside a busy neighbour two threads of two cores took 30 times as long."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Threads:
    """For steps on one device, one at a time."""

    def __init__(self, device: torch.device) -> None:
        self._most = torch.get_num_threads() if device.type == "cpu" else 1
        self._choice = ThreadChoice(self._most)

    @contextmanager
    def of_step(self, num_tokens: int) -> Generator[None]:
        """While a step of so many tokens is computed; whatever else this thread does has all of them."""
        start = time.perf_counter()
        with self.as_chosen():
            yield
        self._choice.observe(num_tokens=num_tokens, seconds=time.perf_counter() - start)

    @contextmanager
    def as_chosen(self) -> Generator[None]:
        """For what is no step, and computed like one."""
        if self._most == 1:
            yield
            return
        torch.set_num_threads(self._choice.now)
        try:
            yield
        finally:
            torch.set_num_threads(self._most)
