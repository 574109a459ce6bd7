import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

CHILD = """
import signal, time
from relabel.job.faults.parent import end_with_parent
signal.pthread_sigmask(signal.SIG_BLOCK, set(range(1, 32)))
end_with_parent()
print("up", flush=True)
time.sleep(600)
"""
PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(600)
"""


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux does it")
def test_a_process_that_hears_no_signal_ends_with_the_one_that_began_it():
    """An actor that had outlived its raylet hung in Ray's own exit, and would have held a GPU for ever."""
    parent = subprocess.Popen([sys.executable, "-c", PARENT, CHILD], stdout=subprocess.PIPE)
    child = int(parent.stdout.readline())
    try:
        assert is_alive(child)
        parent.kill()
        parent.wait()
        until = time.monotonic() + 30
        while is_alive(child):
            assert time.monotonic() < until
            time.sleep(0.01)
    finally:
        if is_alive(child):
            os.kill(child, signal.SIGKILL)
