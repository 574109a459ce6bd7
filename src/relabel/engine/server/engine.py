"""Servers behind the contract of engines: rows of all calls are asked side by side, a call returns with its own last.

Knows requests and results; which words a server is asked in is its dialect's, what servers do to a request `Asking`'s.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Protocol

from relabel.engine.api.goodput import Goodput
from relabel.engine.api.request import Request, Result, Sampling
from relabel.engine.api.verdict import Verdict
from relabel.engine.loop import Loop
from relabel.engine.server.asking import Ask, Asking
from relabel.engine.server.pool import Pool
from relabel.engine.server.wire import Wire
from relabel.errors import ModelRefused
from relabel.rejected import Rejected

MOST_SECONDS = 1.0
"""Between two answers that count as work: more is waiting for rows."""


class Dialect(Protocol):
    """In which words servers are asked."""

    @property
    def end_token(self) -> int | None:
        """See `Engine.end_token`."""
        ...

    def refuse_settings(self, own: Sampling) -> Rejected | None:
        """Why no row can be generated for with these settings; None where rows can."""
        ...

    def refuse(self, request: Request, own: Sampling) -> Rejected | None:
        """Why a row cannot be sent; None where it can."""
        ...

    def make(self, ask: Ask, request: Request, own: Sampling) -> Coroutine[None, None, Result]:
        """The result of a row."""
        ...


class ServerEngine:
    """Any number of servers of one model, for calls from any number of threads.

    Where none of them can be asked any more, each call raises RunFailed.
    """

    def __init__(
        self,
        loop: Loop,
        wire: Wire,
        pool: Pool,
        dialect: Dialect,
        sampling: Sampling,
        verdict: Verdict,
        *,
        tried: Callable[[Sampling], Rejected | None],
        timeout: float,
    ) -> None:
        """`tried` says why the servers refuse a row of these settings, by asking them; None where they do not."""
        self.sampling, self.verdict, self.goodput = sampling, verdict, Goodput()
        self.end_token = dialect.end_token
        self._loop, self._pool, self._dialect, self._tried = loop, pool, dialect, tried
        self._asking = Asking(wire, pool, pool.works, timeout=timeout, heard=self._heard)
        self._before = 0.0
        self._end = weakref.finalize(self, _end, loop.loop, wire, pool)
        self.prepare(sampling)

    def prepare(self, sampling: Sampling) -> None:
        """Make ready for rows with these settings. Raises ModelRefused where the servers cannot be asked for them."""
        why = self._dialect.refuse_settings(sampling) or self._tried(sampling)
        if why is not None:
            raise ModelRefused(f"{why.detail}; change the settings, or use another engine")

    def generate(self, requests: Sequence[Request]) -> list[Result]:
        """One result per request, in order. Errors of a row are in its result; RunFailed where nobody can be asked.

        Calls from other threads are served at the same time.
        """
        return self._loop.run(self._all(requests)) if requests else []

    def close(self) -> None:
        """Give up whatever is under way."""
        self._end()

    async def _all(self, requests: Sequence[Request]) -> list[Result]:
        self._pool.begin_waiting()
        work = asyncio.gather(*map(self._one, requests))
        try:
            await asyncio.wait({work, self._pool.stopped}, return_when=asyncio.FIRST_COMPLETED)
            if self._pool.stopped.done():
                self._pool.stopped.result()
            return list(work.result())
        finally:
            self._pool.num_waiting -= 1
            work.cancel()
            await asyncio.wait({work})
            with suppress(asyncio.CancelledError):
                work.exception()

    async def _one(self, request: Request) -> Result:
        own = request.sampling or self.sampling
        if (why := self._dialect.refuse(request, own)) is not None:
            return Result(id=request.id, error=why)
        result = await self._dialect.make(self._asking.ask, request, own)
        self.goodput.output_tokens += 0 if request.forced_ids else result.num_tokens
        self.goodput.useful_tokens += (len(request.prompt_ids) + max(0, result.num_tokens - 1)) * (result.error is None)
        return result

    def _heard(self) -> None:
        now = self._loop.loop.time()
        self.goodput.seconds += min(now - self._before, MOST_SECONDS)
        self._before = now
        self.goodput.num_batches += 1
        self.goodput.num_forwards += 1
        self.goodput.held_slots += sum(one.in_flight for one in self._pool.addresses)
        self.goodput.all_slots += sum(one.pace.limit for one in self._pool.addresses if not one.is_out)


def _end(loop: asyncio.AbstractEventLoop, wire: Wire, pool: Pool) -> None:
    async def end() -> None:
        pool.close()
        await wire.close()
        loop.stop()

    if loop.is_running():
        asyncio.run_coroutine_threadsafe(end(), loop)
