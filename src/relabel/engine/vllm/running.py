"""A vLLM that runs: its processes, and the loop of a thread of this one through which rows come and go.

Knows how it is begun, asked and ended; nothing of requests.
"""

# pyright: reportMissingImports=false
from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Coroutine, Mapping
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar, cast

from vllm import AsyncEngineArgs
from vllm.v1.engine.async_llm import AsyncLLM

from relabel.engine.api.goodput import Goodput
from relabel.engine.vllm.processes import children, end
from relabel.engine.vllm.steps import Steps

Answer = TypeVar("Answer")


class RunningVllm:
    """One `AsyncLLM`. It ends with this object, with this process, or by `close`."""

    def __init__(self, arguments: Mapping[str, object]) -> None:
        """Raises whatever vLLM raises where it cannot begin."""
        self.goodput = Goodput()
        self._loop = asyncio.new_event_loop()
        # its processes end with the thread that began them: it lives as long as the process
        threading.Thread(target=self._loop.run_forever, name="vllm", daemon=True).start()
        before = set(children())
        try:
            self.llm: _Vllm = self.run(_begin(AsyncEngineArgs(**arguments), self.goodput))
        except BaseException:
            end([process for process in children() if process not in before])
            self._loop.call_soon_threadsafe(self._loop.stop)
            raise
        mine = [process for process in children() if process not in before]
        self._end = weakref.finalize(self, _end, self.llm, self._loop, mine)

    def run(self, work: Coroutine[None, None, Answer]) -> Answer:
        """The answer of a coroutine that runs in the loop; where the caller is interrupted it is given up."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """End its processes, at once: all rows that are under way are lost."""
        self._end()


class _Vllm(AsyncLLM):
    def __del__(self) -> None:
        """Ended by `_end`: at the exit of Python half of what this would need is gone."""


async def _begin(args: AsyncEngineArgs, goodput: Goodput) -> _Vllm:
    def steps(vllm_config: Any, engine_index: int = 0) -> Steps:
        return Steps(vllm_config, goodput)

    return cast(_Vllm, _Vllm.from_engine_args(args, stat_loggers=[steps]))


def _end(llm: AsyncLLM, loop: asyncio.AbstractEventLoop, processes: list[BaseProcess]) -> None:
    """Its own way takes 5 s and ends in killing, too; nothing is lost but rows that nobody waits for."""
    if (handler := llm.output_handler) is not None:  # else it tells of the death that it is about to see
        loop.call_soon_threadsafe(handler.cancel)
    end(processes)
    llm.shutdown(timeout=0)
    loop.call_soon_threadsafe(loop.stop)
