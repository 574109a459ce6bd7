"""One run watched from outside: its seconds, when its first file was there, processor time, and what a kill leaves.

Knows processes and files of Linux; nothing of what they compute.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.outcome import parts_of

PR_SET_CHILD_SUBREAPER = 36
LOOK_SECONDS = 0.1
GRACE_SECONDS = 5.0
"""After which nothing of a driver that was killed should be left."""
TICKS = os.sysconf("SC_CLK_TCK")
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """How a run went."""

    exit_code: int
    seconds: float
    first_seconds: float | None
    """Until the first file of the output was there: Ray, the model and the first rows. None where there was none."""
    last_seconds: float | None
    processor_seconds: float
    """Of all processes of the run, as far as they were seen."""
    left: list[str]
    """Processes that were there GRACE_SECONDS after the driver ended, by name; they were then killed."""


def adopt_orphans() -> None:
    """What loses its parent becomes a child of this process, and is seen and ended by it."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)


class Tree:
    """The processor time of all processes below this one, each by the last that was seen of it."""

    def __init__(self) -> None:
        self._seconds: dict[tuple[int, int], tuple[str, float]] = {}
        """With their names, by process id and start."""
        self.alive: dict[int, str] = {}
        """Names by process id, as of the last look; zombies are none."""

    def look(self) -> None:
        """See all of them."""
        found: dict[int, tuple[int, str, str, int, float]] = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):  # it has just ended
                before, _, after = stat.read_text().rpartition(")")
                fields = after.split()
                seconds = (int(fields[11]) + int(fields[12])) / TICKS
                name = before.partition("(")[2]
                found[int(stat.parent.name)] = int(fields[1]), fields[0], name, int(fields[19]), seconds
        self.alive = {}
        frontier = {os.getpid()}
        while frontier:
            frontier = {pid for pid, (parent, *_) in found.items() if parent in frontier}
            for pid in frontier:
                _, state, name, start, seconds = found[pid]
                self._seconds[pid, start] = name, seconds
                if state != "Z":
                    self.alive[pid] = name

    @property
    def seconds(self) -> float:
        """Of all that were ever seen."""
        return sum(seconds for _, seconds in self._seconds.values())

    def seconds_of(self, name: str) -> float:
        """Of those of the name, whose first 15 characters the kernel keeps."""
        return sum(seconds for known, seconds in self._seconds.values() if known == name[:15])


def watch(command: Sequence[str], output: Path, log: Path, *, kill_at: int | None = None) -> Watched:
    """Run a command to its end, or kill its driver once `kill_at` files of its output are there."""
    tree, begun = Tree(), time.time()
    tree.look()
    before = tree.seconds
    with log.open("a", encoding="utf-8") as stream:
        driver = subprocess.Popen(command, cwd=ROOT, stdout=stream, stderr=stream, env=_environment())
    while driver.poll() is None:
        tree.look()
        if kill_at is not None and len(parts_of(output)) >= kill_at:
            driver.kill()
            driver.wait()
        time.sleep(LOOK_SECONDS)
    ended = time.time()
    times = [path.stat().st_mtime - begun for path in parts_of(output) if path.stat().st_mtime >= begun]
    return Watched(
        exit_code=driver.returncode,
        seconds=ended - begun,
        first_seconds=times[0] if times else None,
        last_seconds=times[-1] if times else None,
        processor_seconds=tree.seconds - before,
        left=_left(tree),
    )


def watch_both(commands: Sequence[Sequence[str]], logs: Sequence[Path]) -> list[int]:
    """Two runs at once; their exit codes. What they leave is ended."""
    drivers: list[subprocess.Popen[bytes]] = []
    for command, log in zip(commands, logs, strict=True):
        with log.open("a", encoding="utf-8") as stream:
            drivers.append(subprocess.Popen(command, cwd=ROOT, stdout=stream, stderr=stream, env=_environment()))
    codes = [driver.wait() for driver in drivers]
    _left(Tree())
    return codes


def _left(tree: Tree) -> list[str]:
    """The names of what is still there after the grace; then nothing is."""
    deadline = time.monotonic() + GRACE_SECONDS
    while _alive(tree) and time.monotonic() < deadline:
        threading.Event().wait(LOOK_SECONDS)
    left = sorted(tree.alive.values())
    while _alive(tree):
        for pid in tree.alive:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        threading.Event().wait(LOOK_SECONDS)
    return left


def _alive(tree: Tree) -> bool:
    with suppress(ChildProcessError):  # none is left to wait for
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    tree.look()
    return bool(tree.alive)


def _environment() -> dict[str, str]:
    paths = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    others = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    # relabel lets its own Ray's workers run as everybody: so may the other's
    return {**others, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "RAY_worker_niceness": "0"}
