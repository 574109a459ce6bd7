"""A process of an engine that dies ends all of it, at once, and leaves nothing behind that holds the device."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from relabel.engine import Sampling
from relabel.engine.model.faults import is_device_fault
from tests.engine.vllm.kit import rows, start
from tests.engine.vllm.test_processes import is_gone

pytestmark = [pytest.mark.vllm, pytest.mark.fault]

HOLD = """
import sys, time
from tests.engine.vllm.kit import start

if __name__ == "__main__":
    engine = start(sys.argv[1])
    print("up", flush=True)
    time.sleep(600)
"""


def descendants(pid: int) -> list[int]:
    """All processes below one, by what the kernel says of their parents."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and (stat := folder / "stat").exists():
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            if parent == pid:
                found += [int(folder.name), *descendants(int(folder.name))]
    return found


def name_of(pid: int) -> str:
    """15 characters of it: `VLLM::EngineCor`."""
    return Path(f"/proc/{pid}/comm").read_text()


def named(pids: list[int], name: str) -> int:
    return next(pid for pid in pids if name in name_of(pid))


def wait_until_gone(pids: list[int]) -> None:
    """The test's own limit of time ends it."""
    while left := [pid for pid in pids if not is_gone(pid)]:
        threading.Event().wait(0.05)
        assert len(left) <= len(pids)


@pytest.mark.parametrize("victim", ["EngineCor", "Worker"])
def test_every_call_hears_of_a_death_and_no_process_is_left(folder, victim):
    before = set(descendants(os.getpid()))
    engine = start(folder)
    mine = [pid for pid in descendants(os.getpid()) if pid not in before and "VLLM" in name_of(pid)]
    heard = []

    def ask():
        try:
            engine.generate(rows(4, Sampling(max_new_tokens=400, min_new_tokens=400)))
        except Exception as error:  # noqa: BLE001  whichever it is, all hear the same
            heard.append(error)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    while engine.goodput.num_forwards < 10:
        threading.Event().wait(0.02)
    os.kill(named(mine, victim), signal.SIGKILL)
    for thread in threads:
        thread.join()
    ask()
    assert len(heard) == 4
    assert all(is_device_fault(error) for error in heard)
    engine.close()
    wait_until_gone(mine)


def test_a_parent_that_is_killed_leaves_no_process(folder, tmp_path):
    (script := tmp_path / "hold.py").write_text(HOLD)
    paths = os.pathsep.join([str(Path(__file__).parents[3]), *sys.path])
    parent = subprocess.Popen(
        [sys.executable, str(script), str(folder)],
        env={**os.environ, "PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    assert "up" in parent.stdout.readline()
    below = descendants(parent.pid)
    assert len(below) >= 2
    parent.kill()
    parent.wait()
    wait_until_gone(below)
