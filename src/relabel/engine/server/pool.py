"""The addresses that are asked: who has room, who is left alone for a while, who is out until it generates again.

Knows times and counts; nothing of requests, answers or rows. Of one loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field

from relabel.engine.server.pace import Pace
from relabel.engine.server.verdicts import wait_before
from relabel.errors import RunFailed

log = logging.getLogger("relabel")

LEAST_REST = 0.25
"""Seconds up to which an address is left alone that may be asked again at once, as it says."""
MOST_FAILURES = 3
"""One after the other at an address, and it is out."""
MOST_REVIVAL_WAIT = 5
"""Doublings of the wait between two looks at an address that is out: 0.5 s become 16."""


@dataclass(slots=True, kw_only=True, eq=False)
class Address:
    """One server."""

    url: str
    pace: Pace
    in_flight: int = 0
    rests_until: float = 0.0
    """On the loop's clock."""
    rested_at: float = float("-inf")
    """When it last said so."""
    num_busy: int = 0
    """Times in a row that it had too much."""
    num_failures: int = 0
    """Failures in a row."""
    num_failures_ever: int = 0
    is_held: bool = False
    """Whether one request is to be alone there."""
    left: asyncio.Future[None] | None = None
    """Told that a request ended; of the one that waits to be alone."""
    is_out: bool = False
    why: str = "nothing"
    """The last thing that went wrong."""


@dataclass(slots=True, kw_only=True, eq=False)
class Pool:
    """All of them. `works` looks whether an address generates, `patience` is in seconds."""

    addresses: Sequence[Address]
    works: Callable[[Address], Awaitable[bool]]
    patience: float
    first_wait: float
    stopped: asyncio.Future[None] = field(init=False)
    """Has an exception once nothing can be asked any more."""
    num_waiting: int = field(init=False, default=0)
    """Calls that wait for texts."""
    _queue: deque[asyncio.Future[Address]] = field(init=False, default_factory=deque)
    _tasks: set[asyncio.Task[None]] = field(init=False, default_factory=set)
    _last_text: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self.stopped = asyncio.get_running_loop().create_future()
        self.stopped.add_done_callback(lambda future: future.exception())  # it may be that nobody asks
        self._begin(self._watch())

    async def take_alone(self) -> Address:
        """An address where nothing else is in flight, and nothing will be until it is given back."""
        while True:
            address = await self.take()
            address.is_held = True
            try:
                while address.in_flight > 1 and not address.is_out:
                    address.left = asyncio.get_running_loop().create_future()
                    await address.left
            except asyncio.CancelledError:
                self.give_back(address, alone=True)
                raise
            if not address.is_out:
                return address
            self.give_back(address, alone=True)

    async def take(self) -> Address:
        """The address with most room, counted as one more in flight. Waits until there is one."""
        place: asyncio.Future[Address] = asyncio.get_running_loop().create_future()
        self._queue.append(place)
        self._hand_out()
        try:
            return await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self.give_back(place.result())
            raise

    def give_back(self, address: Address, *, alone: bool = False) -> None:
        """A request ended, whatever came of it."""
        address.in_flight -= 1
        if alone:
            address.is_held = False
        if address.left is not None and not address.left.done():
            address.left.set_result(None)
        self._hand_out()

    def answered(self, address: Address) -> None:
        """A text came."""
        address.num_failures = address.num_busy = 0
        self._last_text = self._now

    def rest(self, address: Address, seconds: float | None, *, sent: float) -> None:
        """It has too much: fewer requests from now on, and none for some seconds."""
        address.why = "it has too many requests"
        address.pace.too_much(sent=sent, now=self._now)
        if seconds is None and sent < address.rested_at:  # one of those that came back together
            return
        address.num_busy, address.rested_at = address.num_busy + 1, self._now
        wait = wait_before(address.num_busy, self.first_wait)
        if seconds is not None:  # some say 0, again and again
            wait = max(seconds, min(wait, LEAST_REST))
        address.rests_until = max(address.rests_until, self._now + wait)
        asyncio.get_running_loop().call_later(wait + 0.001, self._hand_out)

    def failed(self, address: Address, why: str, *, is_gone: bool = False) -> None:
        """No answer came, or none that is one. `is_gone`: nobody listens there."""
        address.num_failures += 1
        address.num_failures_ever += 1
        address.why = why
        if (is_gone or address.num_failures >= MOST_FAILURES) and not address.is_out:
            self.leave_out(address)

    def leave_out(self, address: Address) -> None:
        """Ask it nothing until it generates again."""
        address.is_out = True
        left = sum(not one.is_out for one in self.addresses)
        log.warning("%s is left out (%s): %d of %d are left", address.url, address.why, left, len(self.addresses))
        self._begin(self._revive(address))

    def stop(self, error: RunFailed) -> None:
        """Nothing can be asked any more."""
        if not self.stopped.done():
            self.stopped.set_exception(error)

    def begin_waiting(self) -> None:
        """A call waits for texts from now on."""
        if not self.num_waiting:
            self._last_text = self._now
        self.num_waiting += 1

    def close(self) -> None:
        """Look after nothing any more."""
        for task in self._tasks:
            task.cancel()

    @property
    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _with_room(self) -> Address | None:
        now = self._now
        ready = [one for one in self.addresses if not (one.is_out or one.is_held) and one.rests_until <= now]
        ready = [one for one in ready if one.in_flight < one.pace.limit]
        return min(ready, key=lambda one: one.in_flight / one.pace.limit, default=None)

    def _hand_out(self) -> None:
        """In the order in which they came; who waits for nothing any more is passed over."""
        while self._queue and (found := self._with_room()) is not None:
            if not (place := self._queue.popleft()).done():
                found.in_flight += 1
                place.set_result(found)

    async def _revive(self, address: Address) -> None:
        num_looks = 0
        while True:
            num_looks += 1
            await asyncio.sleep(wait_before(min(num_looks, MOST_REVIVAL_WAIT), self.first_wait) + self.first_wait / 2)
            if await self.works(address):
                break
        address.is_out, address.num_failures, address.num_busy = False, 0, 0
        address.pace.begin_again()
        log.warning("%s generates again", address.url)
        self._hand_out()

    async def _watch(self) -> None:
        while not self.stopped.done():
            await asyncio.sleep(self.patience / 20)
            if self.num_waiting and self._now - self._last_text > self.patience:
                names = "; ".join(f"{one.url}: {one.why}" for one in self.addresses[:3])
                self.stop(
                    RunFailed(
                        f"no server gave a text for {self.patience:g} s ({names}): what is published stays, and the "
                        "same command goes on once they answer"
                    )
                )

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
