"""A loop of asyncio in a thread of its own, for engines that other threads call. Knows nothing of what it runs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import TypeVar

Answer = TypeVar("Answer")


class Loop:
    """Runs until it is stopped or the process ends."""

    def __init__(self, name: str) -> None:
        """`name` is that of its thread."""
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, name=name, daemon=True).start()

    def run(self, work: Coroutine[None, None, Answer]) -> Answer:
        """The answer of a coroutine; where the caller is interrupted it is given up."""
        future = asyncio.run_coroutine_threadsafe(work, self.loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def stop(self) -> None:
        """End the thread; from any other."""
        self.loop.call_soon_threadsafe(self.loop.stop)
