"""The command as a process of its own, and what runs below it."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATIENCE = 120
GENERATING = "(Generate)).submit"


def start(spec: Path, *options: str) -> subprocess.Popen[str]:
    return start_script(str(ROOT / "jobs/relabel.py"), str(spec), *options)


def start_script(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *arguments],
        env={name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert process.poll() is None, f"it ended by itself: {process.stderr.read() if process.stderr else ''}"
        assert time.monotonic() < deadline
        time.sleep(0.02)


def generating_process_of(driver: int) -> int | None:
    """The worker under `driver` that is generating a unit just now, by the title Ray gives its process meanwhile."""
    titles = {pid: command_line(pid) for pid in descendants(driver)}
    return next((pid for pid, title in titles.items() if title.startswith("ray::") and GENERATING in title), None)


def descendants(pid: int) -> list[int]:
    parents = {child: parent_of(child) for child in map(int, filter(str.isdigit, os.listdir("/proc")))}
    found, frontier = [], {pid}
    while frontier:
        frontier = {child for child, parent in parents.items() if parent in frontier}
        found += frontier
    return found


def parent_of(pid: int) -> int | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:  # it ended
        return None
    return int(stat.rpartition(")")[2].split()[1])


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""
