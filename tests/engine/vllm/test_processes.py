"""The processes of an engine end with whoever began it, and say why they could not begin. Needs no vLLM."""

import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from relabel.engine.vllm.arguments import PARENT, PYTHON
from relabel.engine.vllm.processes import _Note, begin, cause, children_seconds, end, was_killed
from tests.faults.processes import descendants

PARENTS_CODE = """
import multiprocessing, os, sys, time
from tests.engine.vllm.test_processes import wait_for_ever

if __name__ == "__main__":
    child = multiprocessing.get_context("spawn").Process(target=wait_for_ever, args=(sys.argv[1],), daemon=True)
    child.start()
    child.join()
"""


def wait_for_ever(started):
    begin()
    with open(started, "w", encoding="utf-8") as file:
        file.write(str(os.getpid()))
    time.sleep(600)


TWO_GENERATIONS_CODE = """
import multiprocessing, os, sys, time
from multiprocessing.shared_memory import SharedMemory
from tests.engine.vllm.test_processes import import_for_ever

if __name__ == "__main__":
    from relabel.engine.vllm.processes import bound_from_birth

    with bound_from_birth():
        memory = SharedMemory(create=True, size=8, name=f"relabel-{os.getpid()}")
        child = multiprocessing.get_context("spawn").Process(target=import_for_ever, args=(sys.argv[1],), daemon=False)
        child.start()
    child.join()
"""


def import_for_ever(started, is_first=True):
    """A process that has not come to `begin` yet; the first has, and begins another."""
    if is_first:
        begin()
        multiprocessing.get_context("spawn").Process(target=import_for_ever, args=(started, False)).start()
    Path(f"{started}-{is_first}").write_text(str(os.getpid()))
    time.sleep(600)


def ignore_and_wait(started):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    wait_for_ever(started)


def pid_in(file):
    for _ in range(1200):
        if file.exists() and (text := file.read_text()):
            return int(text)
        time.sleep(0.05)
    raise AssertionError("it did not start")


def is_gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux alone ends a process with its parent")
def test_a_process_ends_with_its_parent(tmp_path):
    """EngineCore and its worker lived on after a kill -9 of the actor, with 3.2 GB, until somebody killed them."""
    started, script = tmp_path / "started", tmp_path / "parent.py"
    script.write_text(PARENTS_CODE)
    paths = os.pathsep.join([str(Path(__file__).parents[3]), *sys.path])
    parent = subprocess.Popen(
        [sys.executable, str(script), str(started)], env={**os.environ, PARENT: "1", "PYTHONPATH": paths}
    )
    child = pid_in(started)
    parent.kill()
    parent.wait()
    while not is_gone(child):  # the test's own limit of time ends it
        time.sleep(0.05)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux alone ends a process with its parent")
@pytest.mark.parametrize("victim", ["parent", "child", "all"])
def test_a_process_ends_with_its_parent_while_it_still_imports(tmp_path, victim):
    """A worker of an EngineCore that was killed while both began was there until it had imported all of vLLM.

    As an actor ends Ray kills all below it, and two pieces of shared memory were left of each run.
    """
    started, script = tmp_path / "started", tmp_path / "parent.py"
    script.write_text(TWO_GENERATIONS_CODE)
    paths = os.pathsep.join([str(Path(__file__).parents[3]), *sys.path])
    own = {PARENT: "1", PYTHON: sys.executable, "PYTHONPATH": paths}
    parent = subprocess.Popen([sys.executable, str(script), str(started)], env={**os.environ, **own})
    child, grandchild = (pid_in(tmp_path / f"started-{is_first}") for is_first in (True, False))
    for pid in {"parent": [parent.pid], "child": [child], "all": [*descendants(parent.pid), parent.pid]}[victim]:
        os.kill(pid, signal.SIGKILL)
    for pid in (child, grandchild):
        while not is_gone(pid):
            time.sleep(0.05)
    parent.kill()
    parent.wait()
    while Path(f"/dev/shm/relabel-{parent.pid}").exists():  # who cleans up behind it has lived on
        time.sleep(0.05)


def test_other_peoples_engines_are_left_alone(monkeypatch):
    monkeypatch.delenv(PARENT, raising=False)
    handlers = list(logging.getLogger("vllm").handlers)
    begin()
    assert logging.getLogger("vllm").handlers == handlers


@pytest.mark.parametrize("work", [wait_for_ever, ignore_and_wait])
def test_ending_is_bounded(tmp_path, work):
    process = multiprocessing.get_context("spawn").Process(target=work, args=(str(tmp_path / "started"),), daemon=True)
    process.start()
    pid_in(tmp_path / "started")
    end([process], seconds=0.2)
    assert not process.is_alive()


def failed(note, error):
    logger = logging.Logger("failing")
    logger.addHandler(_Note(note))
    try:
        raise error
    except type(error):
        logger.exception("EngineCore failed to start.")


def test_the_first_cause_of_a_failed_start_is_told(tmp_path):
    (note := tmp_path / "note").touch()
    assert cause(note) is None
    failed(note, ValueError("0.5 GiB KV cache is needed,\nwhich is larger than the available 0.1 GiB"))
    failed(note, RuntimeError("initialization failed"))
    assert cause(note) == "ValueError: 0.5 GiB KV cache is needed, which is larger than the available 0.1 GiB"


def test_nothing_is_noted_once_the_engine_is_up(tmp_path):
    """What fails later may hold a row."""
    failed(note := tmp_path / "note", ValueError("a row"))
    assert not note.exists()
    assert cause(note) is None


NOT_UP = "Engine core initialization failed. See root cause above. Failed core proc(s): %s"
SAYS_WHY = NOT_UP % "{'EngineCore_DP0': 1}"


def test_a_process_that_was_killed_while_it_began_is_told_from_one_that_says_why(tmp_path):
    """A machine that is taken away while a model is loaded does not speak against the model."""
    (note := tmp_path / "note").touch()
    assert was_killed(RuntimeError(NOT_UP % "{'EngineCore_DP0': -9}"), note), "EngineCore itself"
    assert was_killed(RuntimeError(NOT_UP % "{}"), note), "just now"
    assert not was_killed(RuntimeError(SAYS_WHY), note)
    assert not was_killed(ValueError("max_num_seqs must be above 0"), note), "of the arguments: nothing was begun"
    failed(note, ValueError("no such tensor"))
    failed(note, RuntimeError("WorkerProc initialization failed due to an exception in a background process."))
    assert not was_killed(RuntimeError(SAYS_WHY), note)
    note.write_text("")
    failed(note, RuntimeError("WorkerProc initialization failed due to an exception in a background process."))
    assert was_killed(RuntimeError(SAYS_WHY), note), "a worker below it"


def burn_and_wait(started):
    sum(range(10**7))
    wait_for_ever(started)


def test_the_processor_time_of_processes_below_is_counted(tmp_path):
    before = children_seconds()
    process = multiprocessing.get_context("spawn").Process(
        target=burn_and_wait, args=(str(tmp_path / "started"),), daemon=True
    )
    process.start()
    pid_in(tmp_path / "started")
    assert children_seconds() > before
    end([process], seconds=0.2)
