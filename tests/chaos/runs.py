"""The processes of one run of the command: which there are, what they have published, and how one is held up."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.faults.processes import GENERATING, ROOT, command_line, descendants

TITLES = {"generator": "MapBatches(Generate)", "publisher": "MapBatches(Publish)", "reader": "MapBatches(Read)"}
"""What stands in the titles that Ray gives its processes."""
NUM_ENGINES = 2
HELD_SECONDS, FREE_SECONDS = 0.9, 0.1


class Run:
    """One process of the command, in a session of its own."""

    def __init__(self, folder: Path, name: str) -> None:
        self._log, self._figures = folder / f"{name}.log", folder / f"{name}.json"
        self.before = set(parts_of(folder))
        self.is_killed = False
        environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
        with self._log.open("w") as log, self._figures.open("w") as figures:
            self.process = subprocess.Popen(
                [sys.executable, str(ROOT / "jobs/relabel.py"), str(folder / "spec.yaml")],
                env={**environment, "RAY_TMPDIR": str(folder.parent)},
                stdout=figures,
                stderr=log,
                start_new_session=True,
            )

    def num_delivered(self) -> int | None:
        """By its JSON line, where it came to write one; Ray may write lines of its own before it."""
        lines = self._figures.read_text().splitlines()
        return json.loads(lines[-1])["done_now"].get("units", 0) if lines and lines[-1].startswith("{") else None

    def last_words(self) -> str:
        return (self._log.read_text().strip().splitlines() or ["nothing"])[-1][-300:]


def parts_of(folder: Path) -> dict[str, tuple[int, int]]:
    """Each part's name, inode and time."""
    stats = {path.name: path.stat() for path in (folder / "out").glob("*.parquet")}
    return {name: (stat.st_ino, stat.st_mtime_ns) for name, stat in stats.items()}


def hold_up_an_engine_of(driver: subprocess.Popen[bytes]) -> None:
    """Stop one engine again and again, once all of them are at work; another one where that is killed."""
    held = None
    while driver.poll() is None:
        if held is None:
            engines = [pid for pid in descendants(driver.pid) if GENERATING in command_line(pid)]
            held = engines[0] if len(engines) == NUM_ENGINES else None
        else:
            try:
                os.kill(held, signal.SIGSTOP)
                time.sleep(HELD_SECONDS)
                os.kill(held, signal.SIGCONT)
            except ProcessLookupError:
                held = None
        time.sleep(FREE_SECONDS)


def processes_of(driver: int) -> dict[str, list[int]]:
    """The living processes of a run that may be killed, by kind."""
    found: dict[str, list[int]] = {"driver": [driver]}
    for pid in descendants(driver):
        title = command_line(pid)
        for kind, part in TITLES.items():
            if title.startswith("ray::") and part in title:
                found.setdefault(kind, []).append(pid)
    return found
