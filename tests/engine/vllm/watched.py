"""`relabel run` as a process of its own, and the processes of its vLLM, found by who began whom.

Ray gives the process of an actor another title while other calls run, so titles of Ray's say nothing here: vLLM's do.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from relabel.engine.vllm.arguments import NOTE
from tests.engine.vllm.test_processes import is_gone
from tests.faults.processes import command_line, descendants, parent_of

ROOT = Path(__file__).parents[3]
PATIENCE = 400
"""Seconds for the start of a vLLM on a busy machine."""
GRACE = 5
"""Seconds after which nothing of what died may be left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """The processes of one vLLM: who began it, its EngineCore, and the worker of that."""

    actor: int
    core: int
    worker: int

    def is_up(self) -> bool:
        """Whether it can generate: the file for why it could not begin is then gone."""
        found = Path(f"/proc/{self.core}/environ").read_bytes().split(b"\0")
        note = next(one for one in found if one.startswith(f"{NOTE}=".encode()))
        return not os.path.exists(note.partition(b"=")[2])


class Watched:
    """One run of a spec whose output is the folder `out` beside it."""

    def __init__(self, spec: Path, *folders: str) -> None:
        """`folders` of Python modules that its processes find, too."""
        paths = os.pathsep.join([*folders, str(ROOT / "src"), *filter(None, [os.environ.get("PYTHONPATH")])])
        others = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
        self._log = spec.with_name(f"log-{time.monotonic_ns()}")
        self.out = spec.with_name("out")
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(ROOT / "jobs/relabel.py"), str(spec)],
                env={**others, "PYTHONPATH": paths},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )

    @property
    def told(self) -> str:
        """What it has written to stderr so far."""
        return self._log.read_text()

    def wait_for(self, found: Callable[[], object], every: float = 0.005) -> None:
        """Until it is there."""
        deadline = time.monotonic() + PATIENCE
        while not found():
            assert self.process.poll() is None, f"it ended by itself: {self.told}"
            assert time.monotonic() < deadline, self.told
            threading.Event().wait(every)

    def family(self) -> Family | None:
        """The vLLM that is there just now, as soon as it has a worker."""
        below = descendants(self.process.pid)
        for core in below:
            if not command_line(core).startswith("VLLM::EngineCore"):
                continue
            workers = [pid for pid in below if parent_of(pid) == core and is_worker(pid)]
            actor = parent_of(core)
            if workers and actor is not None and not is_gone(core):
                return Family(actor=actor, core=core, worker=workers[0])
        return None

    def new_family(self, before: Family | None = None) -> Family:
        """The next one, as soon as it is there: it has begun to load."""
        found: list[Family] = []

        def look() -> bool:
            family = self.family()
            if family is not None and (before is None or family.core != before.core):
                found.append(family)
            return bool(found)

        self.wait_for(look, every=0.05)
        return found[0]

    def num_parts(self) -> int:
        """That readers see."""
        return len(list(self.out.glob("*.parquet")))

    def staged(self) -> set[str]:
        """Bytes that have no name yet, or never will."""
        return {path.name for path in self.out.glob("_staging/*")} - {"lock"}

    def end(self) -> dict[str, object]:
        """Its figures, once it has ended as it should."""
        stdout, _ = self.process.communicate(timeout=PATIENCE)
        assert self.process.returncode == 0, self.told
        return json.loads(stdout.splitlines()[-1])

    def kill(self) -> None:
        """What is left of it, where a test failed."""
        for pid in [*descendants(self.process.pid), self.process.pid]:
            if not is_gone(pid):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


def with_all_below(pid: int) -> list[int]:
    return [pid, *descendants(pid)]


def is_worker(pid: int) -> bool:
    """While it loads it has no title yet."""
    line = command_line(pid)
    return line.startswith("VLLM::Worker") or "spawn_main" in line


def seconds_of(pid: int) -> float:
    """Of the processor, that a process has taken so far."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def assert_gone(pids: list[int]) -> None:
    """All of them, after the grace."""
    deadline = time.monotonic() + GRACE
    while left := [pid for pid in pids if not is_gone(pid)]:
        assert time.monotonic() < deadline, [command_line(pid).strip() for pid in left]
        threading.Event().wait(0.02)
