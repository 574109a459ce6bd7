"""The processes of a vLLM engine: each ends with the one that began it, and notes why it could not begin.

What `begin` says is run by vLLM in each of them, as its plugin. Imports nothing of vLLM.
"""

from __future__ import annotations

import ctypes
import logging
import multiprocessing
import os
import re
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import spawn
from multiprocessing.process import BaseProcess
from pathlib import Path

from relabel.engine.vllm.arguments import NOTE, PARENT, PYTHON

PR_SET_PDEATHSIG = 1
STARTER = Path(__file__).with_name("python.sh")
"""In place of Python: what it begins is bound to its parent while it still imports, for ten seconds and more."""
MAX_NOTED = 600
"""Characters of a cause."""
_NOT_UP = re.compile(r"Engine core initialization failed.*(: -\d+|\{\})")
"""What vLLM says of an EngineCore that a signal ended, or that is gone before it can say how."""
_WORKER_GONE = "WorkerProc initialization failed"
"""What EngineCore says of a worker that did not come up."""


def begin() -> None:
    """In EngineCore and in each worker of relabel's own: end with the parent, and note a failed start.

    A GPU would else be held by processes whose parent was killed, and the next engine finds no memory there.
    """
    parent = multiprocessing.parent_process()
    if PARENT not in os.environ or parent is None:
        return
    _end_with(parent.pid)
    # it writes out a failed step with the settings of its rows, grammars and stop strings among them
    logging.getLogger("vllm.logging_utils.dump_input").disabled = True
    if note := os.environ.get(NOTE):
        logging.getLogger("vllm").addHandler(_Note(Path(note)))
    bind()


@contextmanager
def bound_from_birth() -> Iterator[None]:
    """Processes that are begun in the block end with this one before their own `begin` says so."""
    before = spawn.get_executable()
    bind()
    try:
        yield
    finally:
        spawn.set_executable(before)


def bind() -> None:
    """Begin processes by `STARTER`, where it can be run: not where it was unpacked without that bit, or elsewhere."""
    if sys.platform == "linux" and os.environ.get(PYTHON) and os.access(STARTER, os.X_OK):
        spawn.set_executable(str(STARTER))


def children() -> list[BaseProcess]:
    """The processes that this one has begun and that are alive."""
    return multiprocessing.active_children()


def children_seconds() -> float:
    """Processor seconds of all processes below this one that are alive, on Linux; 0 elsewhere."""
    found: dict[int, tuple[int, float]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has just ended
            _, parent, *fields = stat.read_text().rpartition(")")[2].split()
            found[int(stat.parent.name)] = int(parent), (int(fields[9]) + int(fields[10])) / os.sysconf("SC_CLK_TCK")

    def below(pid: int) -> float:
        return sum(seconds + below(child) for child, (parent, seconds) in found.items() if parent == pid)

    return below(os.getpid())


def end(processes: list[BaseProcess], seconds: float = 2.0) -> None:
    """End them, by killing where they are not gone within `seconds`; their own children end with them."""
    for signal_it in (BaseProcess.terminate, BaseProcess.kill):
        alive = [process for process in processes if process.is_alive()]
        for process in alive:
            signal_it(process)
        for process in alive:
            process.join(seconds)


def cause(note: Path) -> str | None:
    """What the processes noted before the engine failed to start; None where they noted nothing."""
    try:
        return next(filter(None, note.read_text(encoding="utf-8", errors="replace").splitlines()), None)
    except OSError:
        return None


def was_killed(error: Exception, note: Path) -> bool:
    """Whether an engine failed to start because a process of it was gone, which noted no cause of its own."""
    said = cause(note)
    return _NOT_UP.search(str(error)) is not None if said is None else _WORKER_GONE in said


def _end_with(parent: int | None) -> None:
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it was gone before the kernel was told
        os.kill(os.getpid(), signal.SIGKILL)


class _Note(logging.Handler):
    """Notes exceptions as one line each, as long as the file is there: the first engine that is up removes it."""

    def __init__(self, path: Path) -> None:
        super().__init__(logging.ERROR)
        self._path = path

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if error is None:
            return
        line = " ".join("".join(traceback.format_exception_only(error)).split())[:MAX_NOTED]
        try:
            file = os.open(self._path, os.O_WRONLY | os.O_APPEND)
        except OSError:
            return
        with os.fdopen(file, "a", encoding="utf-8") as stream:
            stream.write(f"{line}\n")
