"""A vLLM that runs: its processes, and the loop of a thread of this one through which rows come and go.

Knows how it is begun, asked and ended; nothing of requests.
"""

# pyright: reportMissingImports=false
from __future__ import annotations

import weakref
from collections.abc import Coroutine, Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, cast

from vllm import AsyncEngineArgs
from vllm.v1.engine.async_llm import AsyncLLM

from relabel.engine.api.goodput import Goodput
from relabel.engine.loop import Answer, Loop
from relabel.engine.vllm.processes import children, end, was_killed
from relabel.engine.vllm.steps import Steps
from relabel.errors import RunFailed

MOST_STARTS = 3
"""Where a process of it is gone without a word while it begins: one may be anyone's, by a preempted machine."""


def begin(arguments: Mapping[str, object], note: Path) -> RunningVllm:
    """A vLLM whose processes note in a file why they could not begin; begun anew where one was killed.

    Raises whatever vLLM raises where it cannot begin, and RunFailed where its processes are killed again and again.
    """
    for _ in range(MOST_STARTS):
        try:
            return RunningVllm(arguments)
        except Exception as error:
            if not was_killed(error, note):
                raise
        note.write_text("", encoding="utf-8")
    raise RunFailed(
        f"processes of vLLM ended {MOST_STARTS} times without a word while they began, as where memory runs out; the "
        "same command goes on from here"
    )


class RunningVllm:
    """One `AsyncLLM`. It ends with this object, with this process, or by `close`."""

    def __init__(self, arguments: Mapping[str, object]) -> None:
        """Raises whatever vLLM raises where it cannot begin."""
        self.goodput = Goodput()
        self._loop = Loop("vllm")  # its processes end with the thread that began them: it lives as long as the process
        before = set(children())
        try:
            self.llm: _Vllm = self.run(_begin(AsyncEngineArgs(**arguments), self.goodput))
        except BaseException:
            end([process for process in children() if process not in before])
            self._loop.stop()
            raise
        mine = [process for process in children() if process not in before]
        self._end = weakref.finalize(self, _end, self.llm, self._loop, mine)

    def run(self, work: Coroutine[None, None, Answer]) -> Answer:
        """The answer of a coroutine that runs in the loop."""
        return self._loop.run(work)

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


def _end(llm: AsyncLLM, loop: Loop, processes: list[BaseProcess]) -> None:
    """Its own way takes 5 s and ends in killing, too; nothing is lost but rows that nobody waits for."""
    if (handler := llm.output_handler) is not None:  # else it tells of the death that it is about to see
        loop.loop.call_soon_threadsafe(handler.cancel)
    end(processes)
    llm.shutdown(timeout=0)
    loop.stop()
