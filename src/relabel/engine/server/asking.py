"""One request until it is answered, whatever its servers do: tried again, elsewhere, in the end alone, or given up.

A request that fails twice is suspect: suspects are asked one at a time, and where servers that generate other texts
fail at one of them again and again, its row is a reject. Where others failed with it, it may not have been to blame,
and is asked with none beside it at its server. So a row that kills a server does not take others along.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from relabel.engine.server.pool import Address, Pool
from relabel.engine.server.verdicts import (
    Broken,
    Document,
    Meaning,
    document_of,
    meaning_of,
    reject_of,
    wait_before,
    why_stop,
)
from relabel.engine.server.wire import Reply, Unreachable, Wire
from relabel.errors import RunFailed
from relabel.rejected import Code, Rejected

SUSPECT_FAILURES = 2
SUSPECT_BUSY = 20
"""Times that a server had too much to take this one: some never take it."""
MOST_STRIKES = 3
"""Failures of a suspect at servers that generated something else thereafter."""
LATE = 0.5
"""Of the timeout: a server that takes longer has too much before it."""

Text = TypeVar("Text")


class Ask(Protocol):
    """Asks one thing of any of the servers."""

    def __call__(
        self, path: str, body: Document, read: Callable[[Document], Text], *, most_bytes: int
    ) -> Awaitable[Text | Rejected]:
        """What `read` makes of the answer, or why the row has none. `read` raises Broken for one that cannot be."""
        ...


@dataclass(slots=True, kw_only=True)
class _Tries:
    """What was tried for one request."""

    failures: int = 0
    busy: int = 0
    strikes: int = 0
    has_failed: bool = False
    """Whether the last one did: it was neither too much nor sent to nobody."""
    at: Address | None = None
    """Where the last one failed."""
    failures_before: int = 0
    """That it had seen when that was sent."""
    goes_alone: bool = False
    """Whether nothing else is to be in flight there."""

    @property
    def is_suspect(self) -> bool:
        return self.failures >= SUSPECT_FAILURES or self.busy >= SUSPECT_BUSY

    def judge(self) -> None:
        """The last one failed as a suspect, and a server generates: a strike, unless others failed there with it."""
        others = self.at.num_failures_ever - self.failures_before - 1 if self.at else 0
        if self.goes_alone or others <= 0:
            self.strikes += 1
        else:
            self.goes_alone = True


class Asking:
    """For all requests of an engine. `works` looks whether a server generates something else."""

    def __init__(
        self,
        wire: Wire,
        pool: Pool,
        works: Callable[[Address], Awaitable[bool]],
        *,
        timeout: float,
        heard: Callable[[], None],
    ) -> None:
        """`heard` is told of each exchange that ended, well or not: a sign of life."""
        self._wire, self._pool, self._works = wire, pool, works
        self._timeout, self._heard = timeout, heard
        self._alone = asyncio.Lock()

    async def ask(
        self, path: str, body: Document, read: Callable[[Document], Text], *, most_bytes: int
    ) -> Text | Rejected:
        """See `Ask`."""
        tries = _Tries()
        while True:
            if tries.is_suspect:
                async with self._alone:
                    found = await self._try(path, body, read, most_bytes, tries)
                    if found is None and (tries.has_failed or tries.busy >= SUSPECT_BUSY):
                        await self._one_generates(tries.at)
                        tries.judge()
            else:
                found = await self._try(path, body, read, most_bytes, tries)
            if found is not None:
                return found
            if tries.strikes >= MOST_STRIKES:
                return Rejected(Code.SERVER, f"servers that answer others failed {MOST_STRIKES} times at this alone")
            if tries.failures or tries.strikes:  # a strike while others are limited, too, must not be the last
                await asyncio.sleep(wait_before(max(tries.failures, 4 * tries.strikes), self._pool.first_wait))

    async def _try(
        self,
        path: str,
        body: Document,
        read: Callable[[Document], Text],
        most_bytes: int,
        tries: _Tries,
    ) -> Text | Rejected | None:
        """What came of one exchange; None where it is worth another."""
        alone = tries.goes_alone
        address = await (self._pool.take_alone() if alone else self._pool.take())
        tries.at, tries.failures_before, tries.has_failed = address, address.num_failures_ever, False
        loop = asyncio.get_running_loop()
        sent = loop.time()
        try:
            reply = await self._wire.ask(f"{address.url}{path}", body, most_bytes=most_bytes)
            found = self._judged(address, reply, read, sent)
        except Unreachable as error:  # no row's fault: the address is out
            self._pool.failed(address, str(error), is_gone=True)
            return None
        except Broken as error:
            tries.failures += 1
            tries.has_failed = True
            if loop.time() - sent > self._timeout * LATE:
                address.pace.too_much(sent=sent, now=loop.time())
            self._pool.failed(address, str(error))
            return None
        finally:
            self._heard()
            self._pool.give_back(address, alone=alone)
        if found is None:
            tries.busy += 1
        return found

    def _judged(
        self, address: Address, reply: Reply, read: Callable[[Document], Text], sent: float
    ) -> Text | Rejected | None:
        meaning, now = meaning_of(reply.status, reply.body), asyncio.get_running_loop().time()
        if meaning is Meaning.BUSY:
            self._pool.rest(address, reply.retry_after, sent=sent)
            return None
        if meaning is Meaning.BROKEN:
            raise Broken(f"an answer of {reply.status}")
        if meaning is Meaning.RUN:
            error = RunFailed(f"{address.url} serves nobody: {why_stop(reply.status)}; what is published stays")
            self._pool.stop(error)
            raise error
        if meaning is Meaning.ROW:
            return reject_of(reply.status, reply.body)
        found = read(document_of(reply.body))
        self._pool.answered(address)
        if now - sent > self._timeout * LATE:
            address.pace.too_much(sent=sent, now=now)
        else:
            address.pace.kept_up()
        return found

    async def _one_generates(self, failed: Address | None) -> None:
        """Waits until a server is there that generates. One that failed and does not is left out: it may be dying."""
        if failed is not None and not failed.is_out and not await self._works(failed) and not failed.is_out:
            self._pool.leave_out(failed)
        while True:
            address = await self._pool.take()
            try:
                works = await self._works(address)
            finally:
                self._pool.give_back(address)
            if works:
                return
            if not address.is_out:
                self._pool.leave_out(address)
