"""Decode steps as CUDA graphs: captured for each bucket of rows that comes again, then replayed with other numbers.

Where each kernel is launched by itself, a step of a few hundred tokens costs the host more time than the device. Knows
tables and captures; not what is computed.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Protocol

import torch

from relabel.engine.model.upload import upload

if TYPE_CHECKING:
    from torch.cuda import _POOL_HANDLE as Pool

log = logging.getLogger("relabel")

BUCKETS = (8, 16, 32, 64, 128, 192, 256, 320, 384, 448, 512)
"""Rows of the steps that are captured."""
FIRST_USES = 4
"""The step of a bucket that is captured first. A capture takes two forwards and gives cached memory back, and a bucket
may come for a few steps alone."""


class Graph(Protocol):
    """A function that was captured: a call computes it anew, and gives the same tensor each time."""

    @property
    def pool(self) -> Pool | None:
        """Its memory, which graphs that never run at once can share."""
        ...

    def __call__(self) -> torch.Tensor: ...


Capture = Callable[[Callable[[], torch.Tensor], "Pool | None"], Graph]
"""Makes a graph of a function, in the memory of another one where there is one. Raises RuntimeError where it cannot."""


class Captured:
    """`compute` as a graph: a call launches all its kernels at once and gives the tensor they fill, always the same.

    It is computed once before, so that libraries set themselves up outside of the capture, and so that a function that
    waits for the device raises RuntimeError before one begins.
    """

    def __init__(self, compute: Callable[[], torch.Tensor], pool: Pool | None) -> None:
        stream, mode = torch.cuda.current_stream(), torch.cuda.get_sync_debug_mode()
        torch.cuda.set_sync_debug_mode("error")
        try:
            compute()
        finally:
            torch.cuda.set_sync_debug_mode(mode)
        self._graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(self._graph, pool=pool, capture_error_mode="thread_local"):
                self._filled = compute()
        finally:  # where a capture fails, torch 2.13 leaves the thread on the stream of the capture
            torch.cuda.set_stream(stream)

    @property
    def pool(self) -> Pool:
        """Its memory, which graphs that never run at once can share."""
        return self._graph.pool()

    def __call__(self) -> torch.Tensor:
        self._graph.replay()
        return self._filled


class Graphs:
    """All that were captured of one function of a table [columns, rows], over the same KV cache."""

    def __init__(self, capture: Capture, *, buckets: Sequence[int] = BUCKETS, first_uses: int = FIRST_USES) -> None:
        self._capture, self._buckets, self._first_uses = capture, buckets, first_uses
        self._ready: dict[int, tuple[torch.Tensor, Graph]] = {}
        self._num_uses: Counter[int] = Counter()
        self._is_off = False
        """The function cannot be captured; a failed capture may cost memory for good, so it is not tried again."""

    def forget(self) -> None:
        """The cache is another one."""
        self._ready = {}
        self._num_uses.clear()

    def run(
        self, compute: Callable[[torch.Tensor], torch.Tensor], rows: Sequence[Sequence[int]], device: torch.device
    ) -> torch.Tensor | None:
        """What the function makes of these rows of the table, one line each; None where it takes another way.

        The last row fills up the bucket: what it writes again are the numbers that are there already.
        """
        bucket = next((size for size in self._buckets if size >= len(rows)), None)
        if self._is_off or bucket is None:
            return None
        self._num_uses[bucket] += 1
        if self._num_uses[bucket] < self._first_uses:
            return None
        lines = [*rows, *[rows[-1]] * (bucket - len(rows))]
        numbers = upload([number for column in zip(*lines, strict=True) for number in column], device, torch.long)
        table = numbers.view(-1, bucket)
        if bucket not in self._ready:
            try:
                pool = next((graph.pool for _, graph in self._ready.values()), None)
                self._ready[bucket] = table, self._capture(partial(compute, table), pool)
            except RuntimeError as error:  # a model may wait for the device in the middle, as some experts do
                log.info("decode steps are not captured as CUDA graphs: %s", " ".join(str(error).split())[:200])
                self._is_off, self._ready = True, {}
                return None
        kept, graph = self._ready[bucket]
        kept.copy_(table)
        return graph()[: len(rows)]
